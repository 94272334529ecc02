import { readRecordedAdapter } from '../../adapters/recorded-adapter.ts';
import { describeAdapter } from '../../inspect/adapted-rows.ts';
import { adaptedRowsText } from '../../inspect/adapted-text.ts';
import type { VectorTarget } from '../../sql/target.ts';
import type { MigrationContext } from '../../state/context.ts';
import type { EvaluationCheck, RowCounts } from '../types.ts';

/** Under this a projection changes which texts are near each other too much to be relied on. */
const MIN_PRESERVATION = 0.8;

/** Says that the verdict is about an adapter's vectors; undefined where no row that took part holds one. */
export async function checkAdapted(
  { db, runtime }: MigrationContext,
  { adapted: by }: Pick<VectorTarget, 'adapted'>,
  { adapted: rows, common }: RowCounts,
): Promise<EvaluationCheck | undefined> {
  const recorded = await readRecordedAdapter(db, runtime.stateSchema, by?.modelId ?? null);
  if (recorded === undefined || rows === 0) return undefined;
  const found = await describeAdapter({ runtime }, recorded);
  const { adapter, retention, similarityPreservation } = found;
  const held = adaptedRowsText({ ...found, rows, withoutText: 0 }, common);
  const weak = similarityPreservation === null || similarityPreservation < MIN_PRESERVATION;
  return {
    code: 'adapted',
    level: weak ? 'warn' : 'info',
    message: `${held}: the verdict is about these, not about what the new model makes of their texts.`,
    values: { adapter, rows, common, retention: retention?.value ?? null, similarityPreservation },
  };
}
