import { PreflightError } from '../errors.ts';
import { dropTargetColumnsSql } from '../sql/columns.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { dropNotifyTriggerSql } from '../sql/notify-trigger.ts';
import { dropTriggerSql } from '../sql/trigger.ts';
import { sampleTableName } from '../sql/tuning-sample.ts';
import type { MigrationContext } from '../state/context.ts';
import { assertLease, type Lease } from '../state/lease.ts';
import { clearRecheck } from '../state/recheck.ts';
import { deleteRecord } from '../state/records.ts';
import { findRecord, resolveMigration } from '../state/resolve.ts';
import { dropUnusedState, stateExists } from '../state/schema.ts';
import { rebuildOldIndexes } from '../swap/drop-old-indexes.ts';
import { withTableLock } from '../swap/lock-table.ts';
import { finishUndo } from '../swap/undo.ts';
import { fillOld } from './fill-old.ts';
import { dropWordIndexes } from './keyword-drop.ts';
import { settleRebuild } from './settle-rebuild.ts';
import { withLease } from './with-lease.ts';

/**
 * 005 down: removes what up added and builds dropped indexes again. The state of other migrations stays.
 *
 * @throws PreflightError `already_swapped` after the swap: 007 is to be undone first; `rebuild_unfinished`
 */
export async function undoExpand(
  ctx: MigrationContext,
): Promise<{ readonly step: 'expand'; readonly changed: boolean }> {
  if (!(await stateExists(ctx.db, ctx.runtime.stateSchema))) return { step: 'expand', changed: false };
  const changed = await withLease(ctx, 'expand', ({ ctx: leased, lease }) => undoExpandLeased(leased, lease));
  await dropUnusedState(ctx.db, ctx.runtime.stateSchema);
  return { step: 'expand', changed };
}

async function undoExpandLeased(ctx: MigrationContext, lease: Lease): Promise<boolean> {
  const { definition, runtime } = ctx;
  const found = await findRecord(ctx);
  if (found === undefined) return false;
  if (found.active === 'new') {
    throw new PreflightError(
      'already_swapped',
      `"${definition.id}" is swapped: ${found.column} holds the new vectors.`,
      {
        step: 'expand',
        hint: 'Undo the swap first: "npx knex migrate:down" (or "reembed rollback").',
      },
    );
  }
  const { record, table, target } = await resolveMigration(ctx, { withoutText: true });
  // An interrupted 007 down leaves constraints half made; after this step nobody would know of them.
  await finishUndo(ctx, 'expand', () => fillOld(ctx, lease));
  // The state goes, and with it the only trace of an index that was dropped to be built anew.
  await settleRebuild(ctx, table, 'forth');
  await rebuildOldIndexes(ctx, record, table);
  // Of a killed "tune --build".
  await ctx.db.query(`DROP TABLE IF EXISTS ${quoteQualified(runtime.stateSchema, sampleTableName(definition.id))}`);
  // Its counts go with the record, and nobody would know of it then.
  await dropWordIndexes(ctx, table);
  await withTableLock(ctx, table, 'expand', async (tx) => {
    await assertLease(tx, runtime.stateSchema, definition.id, lease.token);
    const triggers = [...dropTriggerSql(target, definition.id), ...dropNotifyTriggerSql(target, definition.id)];
    for (const statement of triggers) await tx.query(statement);
    await tx.query(dropTargetColumnsSql(target));
    await deleteRecord(tx, runtime.stateSchema, definition.id);
    await clearRecheck(tx, runtime.stateSchema, definition.id);
  });
  return true;
}
