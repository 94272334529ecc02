import type { Queryable } from '../db/types.ts';
import { countPagesSql } from '../sql/relation-size.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import { textSizesSql } from '../sql/text-sizes.ts';

/** Pages of the table that are looked at: some MB, whatever its size. */
const SAMPLED_PAGES = 500;
const SAMPLED_ROWS = 2_000;

export interface SizeSample {
  /** UTF-8 bytes of the texts in key order. */
  readonly sizes: readonly number[];
  /** What the sample makes of the number of all pending rows. */
  readonly pending: number;
}

/** Sizes of the texts that are pending, from pages chosen at random; texts in TOAST are not fetched. */
export async function sampleSizes(db: Queryable, target: VectorTarget, modelId: number): Promise<SizeSample> {
  const found = await db.query<{ pages: number }>(countPagesSql(), [tableSql(target)]);
  const share = Math.min(1, SAMPLED_PAGES / Math.max(1, found.rows[0]?.pages ?? 1));
  const { rows } = await db.query<{ bytes: number; count: number }>(textSizesSql(target, modelId), [
    100 * share,
    SAMPLED_ROWS,
  ]);
  return { sizes: rows.map((row) => row.bytes), pending: (rows[0]?.count ?? 0) / share };
}
