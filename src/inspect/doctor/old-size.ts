import type { Examined } from './look.ts';

/** Dimensions of the old vectors: before the swap those of the column in use, after it those of the kept one; undefined once that is gone. */
export function oldDimensions({
  facts,
  table,
  record,
}: Pick<Examined, 'facts' | 'table' | 'record'>): number | undefined {
  if (record?.active !== 'new') return facts.oldDimensions;
  return table.columns.find((column) => column.name === record.keptColumn)?.dimensions ?? undefined;
}
