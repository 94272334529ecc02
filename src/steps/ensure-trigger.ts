import { textArrayLiteral } from '../sql/array-literal.ts';
import type { VectorTarget } from '../sql/target.ts';
import { triggerName, triggerNames } from '../sql/trigger.ts';
import type { MigrationContext } from '../state/context.ts';
import { markRecheck } from '../state/recheck.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import { withTableLock } from '../swap/lock-table.ts';
import { createTrigger } from './expand.ts';

/**
 * Makes the trigger anew where somebody dropped or disabled it since 005, and marks that rows may have been edited meanwhile, which
 * `finishUndo` takes for pending: without it a backfill leaves vectors of other texts behind.
 */
export async function ensureTrigger(ctx: MigrationContext, resolved: ResolvedMigration): Promise<void> {
  const { record, table, target } = resolved;
  if (record.active === 'new' || (await isTriggerOn(ctx, target, table.oid))) return;
  ctx.onProgress({
    kind: 'warning',
    message: `The trigger ${triggerName(record.id)} of ${table.schema}.${table.name} was dropped or disabled; it is made again, and rows edited meanwhile are embedded again.`,
  });
  await withTableLock(ctx, table, 'fill', async (tx) => {
    await createTrigger(tx, target, record.id, table.oid);
    // From here on no look at the trigger tells that it was gone.
    await markRecheck(tx, ctx.runtime.stateSchema, record.id, 'trigger');
  });
}

/** `O` fires for everyone, `A` on a logical subscriber too; `R` and `D` would miss the application. */
async function isTriggerOn(ctx: MigrationContext, target: VectorTarget, tableOid: number): Promise<boolean> {
  const names = triggerNames(target, ctx.definition.id);
  const { rows } = await ctx.db.query(
    `SELECT 1 FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgname = ANY ($2::text[]) AND tgenabled IN ('O', 'A')`,
    [tableOid, textArrayLiteral(names)],
  );
  return rows.length === names.length;
}
