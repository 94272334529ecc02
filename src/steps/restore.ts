import type { MigrationContext } from '../state/context.ts';
import { ensureStateSchema } from '../state/schema.ts';
import { type RestoreOptions, type RestoreResult, restoreBackup } from '../swap/restore.ts';
import { withLease } from './with-lease.ts';

export type { RestoreOptions, RestoreResult };

/**
 * Writes a backup's vectors back as the only one working on the migration. A dry run takes no lease: it changes nothing.
 *
 * @throws IntegrityError or PreflightError before anything is changed; BusyError when another process works on the migration
 */
export async function restore(ctx: MigrationContext, options: RestoreOptions): Promise<RestoreResult> {
  if (options.dryRun === true) return restoreBackup(ctx, options);
  // The leases live in the state, which may be gone when a backup is needed.
  await ensureStateSchema(ctx.db, ctx.runtime.stateSchema);
  return withLease(ctx, 'restore', ({ ctx: leased }) => restoreBackup(leased, options));
}
