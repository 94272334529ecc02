import type { TableInfo } from '../db/catalog-types.ts';
import { type ProvenanceColumns, provenanceOf } from '../sql/target.ts';

const TYPES: Readonly<Record<keyof ProvenanceColumns, string>> = {
  model: 'integer',
  hash: 'bytea',
  at: 'timestamp with time zone',
};

/** True when the three provenance columns stand beside `column` with reembed's own types: its work, even where its state is gone. */
export function hasProvenance(column: string, table: Pick<TableInfo, 'columns'>): boolean {
  const names = provenanceOf(column);
  return (Object.keys(TYPES) as (keyof ProvenanceColumns)[]).every(
    (part) => table.columns.find((candidate) => candidate.name === names[part])?.type === TYPES[part],
  );
}
