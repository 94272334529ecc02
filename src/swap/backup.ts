import { isAbsolute, resolve } from 'node:path';
import type { Queryable, Session } from '../db/types.ts';
import { backupCopySql, backupWindowSql } from '../sql/backup.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import { bareSql, textName } from '../sql/text-source.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { readModel } from '../state/models.ts';
import { readRecord, type SavedBackup, updateRecord } from '../state/records.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import {
  BACKUP_FORMAT,
  BACKUP_VERSION,
  type BackupHeader,
  type BackupRow,
  type EncodedRows,
  encodeRows,
} from './backup-format.ts';
import { copyFrames } from './copy-frames.ts';
import { writeBackupFile } from './write-backup.ts';

/** Bytes of vectors read in one statement; they arrive as hex, twice as many. */
const WINDOW_BYTES = 8 * 1024 * 1024;
const MAX_WINDOW_ROWS = 2_000;
const TELL_ROWS = 2_000;

export interface BackupOptions {
  readonly column: VectorTarget;
  readonly directory: string;
  /** Why it was made, for the manifest: `before finalize`. */
  readonly reason: string;
}

/**
 * Writes every row's key, vector and provenance into a compressed, checksummed file of mode 0600 and notes it in the record. On a server it is
 * one binary COPY in one snapshot; on the embedded database, which has one session for everybody and no COPY, rows are read in windows without a
 * transaction. Memory is bounded by a window, or by what the streams hold.
 *
 * @throws ReembedError `backup_failed` (disk full, no rights), InterruptedError; no partial file is left behind
 */
export async function backupColumn(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  options: BackupOptions,
): Promise<SavedBackup> {
  const { column } = options;
  const name = `${column.schema}.${column.table}.${column.column}`;
  ctx.onProgress({ kind: 'step', step: 'backup', message: `Backing up ${name}` });
  const directory = isAbsolute(options.directory) ? options.directory : resolve(options.directory);
  const { path, manifest } = await withSnapshot(ctx, async (db, session) => {
    const header = await describeBackup(ctx, db, resolved, options);
    const rows = session === undefined ? readWindows(ctx, db, column) : copyRows(session, column);
    return writeBackupFile(directory, header, watched(ctx, rows, resolved.table.estimatedRows));
  });
  const saved: SavedBackup = {
    path,
    column: column.column,
    vectors: manifest.vectors,
    rows: manifest.rows,
    sha256: manifest.sha256,
    at: manifest.createdAt,
  };
  await noteBackup(ctx, resolved.record.id, saved, options.reason);
  return saved;
}

/** Says what `REEMBED_BACKUP=none` does at the moment when it does it. */
export function warnWithoutBackup(ctx: Pick<MigrationContext, 'onProgress'>, column: VectorTarget): void {
  const name = `${column.schema}.${column.table}.${column.column}`;
  const message = `The vectors of ${name} go without a backup, as REEMBED_BACKUP=none says: nothing brings them back.`;
  ctx.onProgress({ kind: 'warning', message });
}

/** On a server a session of its own in one snapshot; the embedded database has one session for everybody. */
async function withSnapshot<T>(
  ctx: MigrationContext,
  work: (db: Queryable, session: Session | undefined) => Promise<T>,
): Promise<T> {
  if (ctx.db.embedded) return work(ctx.db, undefined);
  const session = await ctx.db.openSession();
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // A slow disk makes the server wait; its time limits are not meant for that.
    await session.query("SET LOCAL idle_in_transaction_session_timeout = '15min'");
    await session.query('SET LOCAL statement_timeout = 0');
    const result = await work(session, session);
    await session.query('COMMIT');
    return result;
  } finally {
    await session.close().catch(() => undefined);
  }
}

async function describeBackup(
  ctx: MigrationContext,
  db: Queryable,
  { record, target }: ResolvedMigration,
  { column, reason }: BackupOptions,
): Promise<BackupHeader> {
  const old = record.active === 'new' ? record.keptColumn : record.column;
  return {
    format: BACKUP_FORMAT,
    version: BACKUP_VERSION,
    migration: record.id,
    vectors: column.column === target.column ? 'new' : column.column === old ? 'old' : 'other',
    schema: column.schema,
    table: column.table,
    column: column.column,
    text: textName(column.text),
    ...(typeof column.text === 'string' ? {} : { textExpression: bareSql(column.text) }),
    key: column.key.map(({ name, type }) => ({ name, type })),
    vectorType: column.vectorType,
    dimensions: column.dimensions,
    hasProvenance: column.provenance !== undefined,
    models: await readModels(ctx, db, column),
    reason,
    createdAt: new Date().toISOString(),
    snapshotLsn: await readLsn(db),
  };
}

/** Fingerprints of the models that made the vectors: ids mean nothing in another database. */
async function readModels(ctx: MigrationContext, db: Queryable, column: VectorTarget): Promise<BackupHeader['models']> {
  if (column.provenance === undefined) return {};
  const { rows } = await db.query<{ id: number }>(
    `SELECT DISTINCT ${quoteIdentifier(column.provenance.model)} AS id FROM ${tableSql(column)}
     WHERE ${quoteIdentifier(column.provenance.model)} IS NOT NULL ORDER BY 1`,
  );
  const models: Record<string, Readonly<Record<string, unknown>>> = {};
  for (const { id } of rows) {
    const fingerprint = await readModel(db, ctx.runtime.stateSchema, id);
    if (fingerprint !== undefined) models[id] = fingerprint;
  }
  return models;
}

async function readLsn(db: Queryable): Promise<string | null> {
  const { rows } = await db.query<{ lsn: string | null }>(
    `SELECT (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
       ELSE pg_catalog.pg_current_wal_lsn() END)::text AS lsn`,
  );
  return rows[0]?.lsn ?? null;
}

type BackupRecordRow = Record<string, unknown>;

function copyRows(session: Session, column: VectorTarget): AsyncIterable<EncodedRows> {
  return copyFrames(session.copyOut(backupCopySql(column)), column.key.length + 1);
}

/** Windows by keyset: what the embedded database can do instead of a COPY. */
export async function* readWindows(
  ctx: Pick<MigrationContext, 'signal'>,
  db: Queryable,
  column: VectorTarget,
): AsyncGenerator<EncodedRows> {
  const limit = windowRows(column);
  let cursor: readonly string[] | undefined;
  for (;;) {
    throwIfStopped(ctx, 'backup');
    const sql = backupWindowSql(column, { afterCursor: cursor !== undefined });
    const { rows } = await db.query<BackupRecordRow>(sql, [...(cursor ?? []), limit]);
    const batch = rows.map((row) => toBackupRow(row, column.key.length));
    yield encodeRows(batch, column.provenance !== undefined);
    if (batch.length < limit) return;
    cursor = batch.at(-1)?.key;
  }
}

/** The same rows, with progress told and the signal looked at between them. */
async function* watched(
  ctx: MigrationContext,
  batches: AsyncIterable<EncodedRows>,
  estimatedRows: number,
): AsyncGenerator<EncodedRows> {
  const started = Date.now();
  let done = 0;
  let told = 0;
  const tell = (): void => {
    const total = Math.max(done, estimatedRows);
    const rate = done / Math.max(0.001, (Date.now() - started) / 1000);
    ctx.onProgress({ kind: 'rows', done, total, rate, etaSeconds: rate > 0 ? (total - done) / rate : undefined });
    told = done;
  };
  for await (const batch of batches) {
    throwIfStopped(ctx, 'backup');
    yield batch;
    done += batch.rows;
    if (done - told >= TELL_ROWS) tell();
  }
  tell();
}

/** Rows read or written at once, by the size of a vector. */
export function windowRows(column: Pick<VectorTarget, 'vectorType' | 'dimensions'>): number {
  const dimensions = column.dimensions === 0 ? 16_000 : column.dimensions;
  const bytes = dimensions * (column.vectorType === 'halfvec' ? 2 : 4);
  return Math.min(MAX_WINDOW_ROWS, Math.max(16, Math.floor(WINDOW_BYTES / bytes)));
}

function toBackupRow(row: BackupRecordRow, keys: number): BackupRow {
  return {
    key: Array.from({ length: keys }, (_, i) => String(row[`k${i}`])),
    textHash: (row.text_hash ?? null) as Buffer | null,
    vector: (row.vector ?? null) as Buffer | null,
    model: (row.model ?? null) as number | null,
    hash: (row.hash ?? null) as Buffer | null,
    at: (row.at ?? null) as string | null,
  };
}

async function noteBackup(ctx: MigrationContext, id: string, saved: SavedBackup, reason: string): Promise<void> {
  const { stateSchema } = ctx.runtime;
  const record = await readRecord(ctx.db, stateSchema, id);
  if (record !== undefined) {
    await updateRecord(ctx.db, stateSchema, id, { backups: [...record.backups, saved] });
  }
  await recordEvent(ctx.db, stateSchema, id, 'backup', { ...saved, reason });
}
