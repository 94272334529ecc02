import { createHash } from 'node:crypto';
import type { Database } from '../../src/db/types.ts';
import { ReembedError } from '../../src/errors.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import type { SavedBackup } from '../../src/state/records.ts';
import { oldVectorTarget, resolveMigration } from '../../src/state/resolve.ts';
import { backupColumn } from '../../src/swap/backup.ts';

/** Backs the vectors of one side up. */
export async function saveSide(ctx: MigrationContext, side: 'old' | 'new', directory: string): Promise<SavedBackup> {
  const resolved = await resolveMigration(ctx);
  const { record, table, extension, target } = resolved;
  const column = side === 'new' ? target : oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  if (column === undefined) throw new Error('no column');
  return backupColumn(ctx, resolved, { column, directory, reason: 'test' });
}

/** Every row's key and vector bytes, and whatever else is asked for, as one digest. */
export async function digestOf(db: Database, table: string, key: string, columns: string): Promise<string> {
  const { rows } = await db.query(`SELECT ${key}::text AS key, ${columns} FROM ${table} ORDER BY ${key}`);
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex');
}

/** The error that refuses `work`; fails when nothing does. */
export async function refusal(work: Promise<unknown>): Promise<ReembedError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ReembedError)) throw new Error(`expected a ReembedError, got ${String(error)}`);
  return error;
}

/** What the tests of backups leave behind. */
export async function clearTables(db: Database): Promise<void> {
  await db.query('DROP TABLE IF EXISTS segments, other; DROP SCHEMA IF EXISTS "Odd ""Schema""", reembed CASCADE');
}
