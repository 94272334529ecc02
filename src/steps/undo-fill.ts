import { PreflightError } from '../errors.ts';
import { tallyRows } from '../inspect/row-counts.ts';
import { addTargetColumnsSql, dropTargetColumnsSql } from '../sql/columns.ts';
import { dropTriggerSql } from '../sql/trigger.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { assertLease, type Lease } from '../state/lease.ts';
import { clearQuarantine } from '../state/quarantine.ts';
import { updateRecord } from '../state/records.ts';
import { findRecord, resolveMigration } from '../state/resolve.ts';
import { backupColumn, warnWithoutBackup } from '../swap/backup.ts';
import { withTableLock } from '../swap/lock-table.ts';
import { createTrigger } from './expand.ts';
import { withLease } from './with-lease.ts';

/** Fewer vectors than this are made again sooner than a backup is looked after. */
const BACKUP_FROM_ROWS = 1_000;

/**
 * 006 down: clears the new vectors, after a backup when there are many. Column and trigger are dropped and made anew: in one short
 * transaction, where UPDATE … SET NULL would rewrite every row.
 */
export async function undoFill(ctx: MigrationContext): Promise<{ readonly step: 'fill'; readonly cleared: number }> {
  if ((await findRecord(ctx)) === undefined) return { step: 'fill', cleared: 0 };
  return withLease(ctx, 'fill', async ({ ctx: leased, lease }) => ({
    step: 'fill',
    cleared: await undoFillLeased(leased, lease),
  }));
}

async function undoFillLeased(ctx: MigrationContext, lease: Lease): Promise<number> {
  const { db, definition, runtime } = ctx;
  const resolved = await resolveMigration(ctx);
  const { record, table, target } = resolved;
  if (record.active === 'new') {
    throw new PreflightError(
      'already_swapped',
      `"${definition.id}" is swapped: ${record.column} holds the new vectors.`,
      {
        step: 'fill',
        hint: 'Undo the swap first: "npx knex migrate:down" (or "reembed rollback").',
      },
    );
  }
  const { done } = await tallyRows(db, target, record.modelId, record.id);
  if (done >= BACKUP_FROM_ROWS) {
    if (runtime.backup === 'none') warnWithoutBackup(ctx, target);
    else {
      const directory = runtime.backupDir;
      await backupColumn(ctx, resolved, { column: target, directory, reason: 'undo-fill' });
    }
  }
  await withTableLock(ctx, table, 'fill', async (tx) => {
    await assertLease(tx, runtime.stateSchema, definition.id, lease.token);
    // The trigger's condition reads the column, which therefore cannot go first.
    for (const statement of dropTriggerSql(target, definition.id)) await tx.query(statement);
    await tx.query(dropTargetColumnsSql(target));
    for (const statement of addTargetColumnsSql(target)) await tx.query(statement);
    await createTrigger(tx, { ...target, adapted: undefined }, definition.id, table.oid);
    await clearQuarantine(tx, runtime.stateSchema, definition.id);
    await updateRecord(tx, runtime.stateSchema, definition.id, {
      phase: 'expanded',
      modelId: null,
      adaptedModelId: null,
      cursor: null,
      rowsWritten: 0,
      tokens: 0,
      truncated: 0,
    });
    await recordEvent(tx, runtime.stateSchema, definition.id, 'backfill-undone', { cleared: done });
  });
  return done;
}
