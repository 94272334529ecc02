import type { BackfillJob } from '../backfill/job.ts';
import { tallyRows } from '../inspect/row-counts.ts';
import { mappableSql, pendingSql } from '../sql/pending.ts';
import { isMapped, type MappedTarget } from '../sql/read-vectors.ts';
import { tableSizeSql } from '../sql/relation-size.ts';
import { tableSql } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import type { ResolvedMigration } from '../state/resolve.ts';

/** Above so many rows an exact count for the progress line is not worth its scan. */
const EXACT_COUNT_LIMIT = 100_000;
const EXACT_COUNT_BYTES = 64 * 2 ** 20;

type Extent = Pick<BackfillJob, 'rowsDone' | 'rowsTotal'>;

/** How much there is and how much of it is done, for progress: counted in a small table, estimated in a large one. */
export async function fillExtent(
  ctx: MigrationContext,
  { record, table, target }: Pick<ResolvedMigration, 'record' | 'table' | 'target'>,
  modelId: number,
): Promise<Extent> {
  if (target.adapted?.as === 'replaced') {
    const { pending } = await tallyRows(ctx.db, target, modelId, record.id);
    return { rowsDone: 0, rowsTotal: pending };
  }
  // Not the planner's estimate: it takes the pages that the new vectors fill for more rows.
  const known = table.estimatedRows > 0 ? table.estimatedRows : undefined;
  const small = known === undefined ? await isSmall(ctx, table.oid) : known < EXACT_COUNT_LIMIT;
  if (!small) return { rowsDone: record.rowsWritten, rowsTotal: known };
  if (isMapped(target)) return countMappable(ctx, target, modelId);
  const { total, skipped, done } = await tallyRows(ctx.db, target, modelId, record.id);
  return { rowsDone: done, rowsTotal: total - skipped };
}

/** How many old vectors there are, and how many of them are mapped, or embedded, already. */
async function countMappable(ctx: MigrationContext, target: MappedTarget, modelId: number): Promise<Extent> {
  const { rows } = await ctx.db.query<{ total: number; pending: number }>(
    `SELECT pg_catalog.count(*)::float8 AS total, pg_catalog.count(*) FILTER (WHERE ${pendingSql(target, 't', modelId)})::float8 AS pending
     FROM ${tableSql(target)} t WHERE ${mappableSql(target, target.mappedFrom, 't')}`,
  );
  const { total = 0, pending = 0 } = rows[0] ?? {};
  return { rowsDone: total - pending, rowsTotal: total };
}

/** For a table of which nobody has counted the rows yet, not even ANALYZE. */
async function isSmall(ctx: MigrationContext, oid: number): Promise<boolean> {
  const { rows } = await ctx.db.query<{ bytes: number }>(
    `SELECT ${tableSizeSql('pg_relation_size', '$1::oid')}::float8 AS bytes`,
    [oid],
  );
  return (rows[0]?.bytes ?? 0) < EXACT_COUNT_BYTES;
}
