import { rm } from 'node:fs/promises';
import { readTable } from '../db/catalog.ts';
import { PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { updateRecord } from '../state/records.ts';
import { findRecord } from '../state/resolve.ts';
import { type ListedBackup, type ListOptions, listBackups } from './list-backups.ts';

export interface PruneOptions extends Pick<ListOptions, 'directory'> {
  /** Without it nothing is deleted. */
  readonly confirmed: boolean;
  /** Also the last backup of vectors that are in the table no more: there is no other way back. */
  readonly lastToo: boolean;
}

export interface PruneResult {
  readonly deleted: readonly ListedBackup[];
  /** Older than the retention, but the last of vectors that are gone, or not in the state. */
  readonly kept: readonly ListedBackup[];
}

/**
 * Deletes backups of the state that are older than `retentionDays`, file and manifest, and forgets them there. Never of itself.
 *
 * @throws PreflightError `prune_unconfirmed` naming what would be deleted
 */
export async function pruneBackups(ctx: MigrationContext, options: PruneOptions): Promise<PruneResult> {
  const backups = await listBackups(ctx, { directory: options.directory });
  const gone = await findGone(ctx);
  const lastOf = new Map(
    backups.filter(({ file }) => file === 'present').map((backup) => [sideOf(backup), backup.path] as const),
  );
  const old = backups.filter(({ olderThanRetention }) => olderThanRetention);
  const isLast = (backup: ListedBackup): boolean => gone(backup) && lastOf.get(sideOf(backup)) === backup.path;
  // One that this database knows nothing of may be another's: a directory is easily shared, and so is a migration's id.
  const kept = old.filter((backup) => !backup.recorded || (!options.lastToo && isLast(backup)));
  const deleted = old.filter((backup) => !kept.includes(backup));
  if (deleted.length > 0 && !options.confirmed) throw unconfirmed(ctx, deleted);
  for (const { path } of deleted) {
    await rm(path, { force: true });
    await rm(`${path}.json`, { force: true });
  }
  if (deleted.length > 0) await forget(ctx, new Set(deleted.map(({ path }) => path)));
  return { deleted, kept };
}

function sideOf({ vectors, column }: ListedBackup): string {
  return vectors === 'old' || vectors === 'new' ? vectors : column;
}

/** Whether a backup's vectors are in the table no more: a name alone may mean another model's since the swap. */
async function findGone(ctx: MigrationContext): Promise<(backup: ListedBackup) => boolean> {
  const record = await findRecord(ctx);
  const columns = new Set((await readTable(ctx.db, ctx.definition.table)).columns.map(({ name }) => name));
  return ({ vectors, column }) => {
    if (record === undefined) return !columns.has(column);
    if (vectors === 'old' && record.active === 'new') return record.keptColumn === null;
    // An undone backfill leaves the column, but nothing in it.
    if (vectors === 'new' && record.active === 'old') return record.phase !== 'backfilled';
    return !columns.has(column);
  };
}

async function forget(ctx: MigrationContext, paths: ReadonlySet<string>): Promise<void> {
  const record = await findRecord(ctx);
  if (record === undefined) return;
  const { stateSchema } = ctx.runtime;
  const backups = record.backups.filter(({ path }) => !paths.has(path));
  await updateRecord(ctx.db, stateSchema, record.id, { backups });
  await recordEvent(ctx.db, stateSchema, record.id, 'backups-pruned', { paths: [...paths] });
}

function unconfirmed(ctx: MigrationContext, deleted: readonly ListedBackup[]): PreflightError {
  const { retentionDays } = ctx.definition;
  const list = deleted.map(({ path, rows }) => `${path} (${rows} ${plural(rows, 'row')})`).join(', ');
  return new PreflightError(
    'prune_unconfirmed',
    `${deleted.length} ${plural(deleted.length, 'backup is', 'backups are')} older than ${retentionDays} ${plural(retentionDays, 'day')} and would be deleted for good: ${list}.`,
    { step: 'backup', hint: 'Run the same command with --yes to delete them.', context: { backups: deleted } },
  );
}
