import { clearBlankSql, findBlankSql } from '../sql/blank-rows.ts';
import type { MigrationContext } from '../state/context.ts';
import { assertLease, type Lease } from '../state/lease.ts';
import type { ResolvedMigration } from '../state/resolve.ts';

/**
 * After the swap a row whose text was emptied keeps its marked vector, and would be found by the text that it lost: nothing comes to be
 * embedded in its place. Under NOT NULL it has to stay.
 */
function servedOf({ record, table, target }: ResolvedMigration): Parameters<typeof clearBlankSql>[0] | undefined {
  if (record.active !== 'new' || target.provenance === undefined) return undefined;
  const isNotNull = table.columns.some((column) => column.name === target.column && column.notNull);
  return isNotNull ? undefined : { ...target, provenance: target.provenance };
}

/** Whether `clearBlankRows` has something to do. */
export async function hasBlankRows(ctx: MigrationContext, resolved: ResolvedMigration): Promise<boolean> {
  const served = servedOf(resolved);
  return served !== undefined && (await ctx.db.query(findBlankSql(served))).rows.length > 0;
}

/** Takes the vectors of rows without a text out of search. */
export async function clearBlankRows(ctx: MigrationContext, resolved: ResolvedMigration, lease: Lease): Promise<void> {
  const served = servedOf(resolved);
  if (served === undefined) return;
  await ctx.db.transaction(async (tx) => {
    await assertLease(tx, ctx.runtime.stateSchema, ctx.definition.id, lease.token);
    await tx.query(clearBlankSql(served));
  });
}
