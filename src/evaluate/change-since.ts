import type { Queryable } from '../db/types.ts';
import { changedSinceSql } from '../sql/evaluation.ts';
import { comparedColumns, type EvaluatedSide } from './sides.ts';
import type { LastEvaluation } from './stored-report.ts';
import type { RowCounts } from './types.ts';

/**
 * The share of rows, of those that were compared, that are not what they were then: new and edited rows by the time at which their new
 * vector was written, those edited or deleted by how many are left that were not written since, and rows that an adapter filled then and not
 * now, or the other way round, which a backup brings back with the time that they had. The largest of the counts; above 1 where more came in
 * than there were.
 */
export async function changeSince(
  db: Queryable,
  sides: readonly EvaluatedSide[],
  { at, report }: LastEvaluation,
  { common, adapted }: RowCounts,
): Promise<number> {
  const written = sides.find(({ name }) => name === 'new')?.search.target;
  if (written?.provenance === undefined) return 0;
  const { rows } = await db.query<{ written: number }>(changedSinceSql(comparedColumns(sides), written.provenance.at), [
    at,
  ]);
  const since = rows[0]?.written ?? 0;
  const gone = Math.max(0, report.rows.common - (common - since));
  const turned = Math.abs(adapted - report.rows.adapted);
  return Math.max(since, gone, turned) / Math.max(1, report.rows.common);
}
