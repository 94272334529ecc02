import { PreflightError, type Step } from '../errors.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { embeddableSql, notQuarantinedSql } from '../sql/pending.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';

/** k-means learns the lists from the rows that are there: those that come later go to lists that were not made for them. */
const FILLED = 0.9;

/**
 * Refuses to build an IVFFlat index on a column that is not filled: of 1,000 vectors on lists that were learnt from none, a probe found
 * half as many neighbours as on lists that were learnt from all. Rows without text, and those that the model refused
 * (quarantine), will not get a vector and do not count.
 *
 * @throws PreflightError `column_unfilled`, with rows and percent
 */
export async function refuseUnfilled(ctx: MigrationContext, target: VectorTarget, step: Step): Promise<void> {
  const { definition } = ctx;
  const has = `t.${quoteIdentifier(target.column)} IS NOT NULL`;
  const count = async (rows: string): Promise<{ all: number; filled: number }> => {
    const found = await ctx.db.query<{ all: number; filled: number }>(
      `SELECT pg_catalog.count(*)::float8 AS all, pg_catalog.count(*) FILTER (WHERE ${has})::float8 AS filled FROM ${tableSql(target)} t WHERE ${rows}`,
    );
    return found.rows[0] ?? { all: 0, filled: 0 };
  };
  // Texts are only read where it is not clear without them.
  const rough = await count('true');
  if (rough.filled >= FILLED * rough.all) return;
  const { all, filled } = await count(
    `${has} OR (COALESCE(${embeddableSql(target, 't')}, false) AND ${notQuarantinedSql(target, 't', definition.id)})`,
  );
  if (filled >= FILLED * all) return;
  throw new PreflightError(
    'column_unfilled',
    `${target.schema}.${target.table}.${target.column} is not filled: ${filled} of ${all} rows with a text have a vector (${Math.floor((100 * filled) / all)}%), an IVFFlat index learns its lists from at least ${100 * FILLED}%.`,
    {
      step,
      hint: 'Fill it first: "reembed backfill" before the swap, "reembed sync --once" after it.',
      context: { rows: all, filled },
    },
  );
}
