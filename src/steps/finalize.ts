import { countPendingUpTo } from '../backfill/count-pending.ts';
import { PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import type { MigrationContext } from '../state/context.ts';
import { assertLease } from '../state/lease.ts';
import type { SavedBackup } from '../state/records.ts';
import { findRecord, oldVectorTarget, resolveMigration } from '../state/resolve.ts';
import { backupColumn } from '../swap/backup.ts';
import { finalizeSwap } from '../swap/finalize.ts';
import { wordIndexesOf } from './keyword-drop.ts';
import { withLease } from './with-lease.ts';

const PENDING_LIMIT = 1_000;

export interface FinalizeResult {
  readonly step: 'finalize';
  readonly changed: boolean;
  readonly backup: SavedBackup | undefined;
}

export interface FinalizeOptions {
  /** Drop the old column before `retentionDays` are over. */
  readonly now: boolean;
}

/**
 * Drops the kept old column and its index after a backup. From here on there is no way back but that backup.
 *
 * @throws PreflightError before the swap, and before `retentionDays` are over unless `now`
 */
export async function finalize(ctx: MigrationContext, options: FinalizeOptions): Promise<FinalizeResult> {
  return withLease(ctx, 'finalize', async ({ ctx: leased, lease }) => {
    const { record, table } = await resolveMigration(leased);
    if (record.phase === 'finalized') return { step: 'finalize', changed: false, backup: undefined };
    await warnOfPending(leased);
    let saved: SavedBackup | undefined;
    await finalizeSwap(leased, {
      now: options.now,
      guard: (tx) => assertLease(tx, leased.runtime.stateSchema, leased.definition.id, lease.token),
      backup: async () => {
        saved = await backup(leased, { side: 'old', reason: 'finalize' });
      },
    });
    for (const { name } of wordIndexesOf(leased, table)) {
      const message = `${name} stays, for keyword search; "reembed keyword drop" removes it.`;
      leased.onProgress({ kind: 'notice', message });
    }
    return { step: 'finalize', changed: true, backup: saved };
  });
}

/** Once the trigger is gone nothing marks a row any more; what is marked can still be embedded. */
async function warnOfPending(ctx: MigrationContext): Promise<void> {
  const { record, target } = await resolveMigration(ctx);
  if (record.active === 'old') return;
  const pending = await countPendingUpTo(ctx.db, target, record.modelId ?? 0, record.id, PENDING_LIMIT);
  if (pending === 0) return;
  const count = pending === PENDING_LIMIT ? `${pending} rows or more` : `${pending} ${plural(pending, 'row')}`;
  ctx.onProgress({
    kind: 'warning',
    message: `${count} of ${record.schema}.${record.table} ${plural(pending, 'has', 'have')} no vector of ${plural(pending, 'its', 'their')} text: run "reembed sync --once", now or afterwards.`,
  });
}

export interface BackupOptions {
  readonly side: 'old' | 'new';
  readonly reason: string;
  /** `runtime.backupDir` unless given. */
  readonly directory?: string | undefined;
}

/**
 * Writes the old or the new vectors of a migration into a checksummed file.
 *
 * @throws PreflightError `no_old_column` when the old column is gone
 */
export async function backup(ctx: MigrationContext, options: BackupOptions): Promise<SavedBackup> {
  const resolved = await resolveMigration(ctx);
  const { record, table, extension, target } = resolved;
  const column = options.side === 'new' ? target : oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  if (column === undefined) {
    throw new PreflightError(
      'no_old_column',
      `${record.schema}.${record.table} has no old column any more: "${record.id}" is ${record.phase}.`,
      {
        step: 'backup',
        hint: 'Use --side new, or restore the backup that finalize made: "reembed restore <file>".',
      },
    );
  }
  return backupColumn(ctx, resolved, {
    column,
    directory: options.directory ?? ctx.runtime.backupDir,
    reason: options.reason,
  });
}

/**
 * The down of the last migration: a dropped column comes back from its backup only.
 *
 * @throws PreflightError `finalized`, naming the backup and the command, when the old column is gone
 */
export async function undoFinalize(ctx: MigrationContext): Promise<void> {
  const record = await findRecord(ctx);
  if (record === undefined || record.phase !== 'finalized') return;
  const saved = record.backups.findLast(({ vectors }) => vectors === 'old');
  throw new PreflightError(
    'finalized',
    `The old column of ${record.schema}.${record.table} was dropped; there is no way back but its backup.`,
    {
      step: 'finalize',
      hint: saved === undefined ? 'Restore a backup of your own.' : `Run "reembed restore ${saved.path}".`,
    },
  );
}
