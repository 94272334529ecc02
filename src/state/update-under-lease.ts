import type { MigrationContext } from './context.ts';
import { assertLease, type Lease } from './lease.ts';
import { type MigrationRecord, updateRecord } from './records.ts';

/**
 * Changes the migration's record while nobody else can take the lease over: a process that was held up for longer than its lease lasts
 * must not put back what its successor has moved on.
 *
 * @throws BusyError `lease_lost` when somebody has; nothing is changed then
 */
export async function updateUnderLease(
  ctx: MigrationContext,
  lease: Pick<Lease, 'token'>,
  changes: Partial<Omit<MigrationRecord, 'id'>>,
): Promise<void> {
  const { definition, runtime } = ctx;
  await ctx.db.transaction(async (tx) => {
    await assertLease(tx, runtime.stateSchema, definition.id, lease.token);
    await updateRecord(tx, runtime.stateSchema, definition.id, changes);
  });
}
