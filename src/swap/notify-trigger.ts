import { createNotifyTriggerSql, dropNotifyTriggerSql, notifyTriggerName } from '../sql/notify-trigger.ts';
import type { MigrationContext } from '../state/context.ts';
import { resolveMigration } from '../state/resolve.ts';
import { withTableLock } from './lock-table.ts';

/** Lets the table's writers wake a sync worker; one that a killed worker left is made anew. @throws BusyError `table_locked` */
export async function installNotifyTrigger(ctx: MigrationContext): Promise<void> {
  const { record, table, target } = await resolveMigration(ctx, { withoutText: true });
  await withTableLock(ctx, table, 'sync', async (tx) => {
    for (const statement of createNotifyTriggerSql(target, record.id)) await tx.query(statement);
  });
}

/** Takes no lock where there is no such trigger. @throws BusyError `table_locked` */
export async function removeNotifyTrigger(ctx: MigrationContext): Promise<void> {
  const { record, table, target } = await resolveMigration(ctx, { withoutText: true });
  const { rows } = await ctx.db.query('SELECT 1 FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND tgname = $2', [
    table.oid,
    notifyTriggerName(record.id),
  ]);
  if (rows.length === 0) return;
  await withTableLock(ctx, table, 'sync', async (tx) => {
    for (const statement of dropNotifyTriggerSql(target, record.id)) await tx.query(statement);
  });
}
