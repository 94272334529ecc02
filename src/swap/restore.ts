import { setTimeout as sleep } from 'node:timers/promises';
import { isPassingDatabaseError } from '../db/sqlstate.ts';
import type { Queryable } from '../db/types.ts';
import { byteaArrayLiteral, textArrayLiteral } from '../sql/array-literal.ts';
import { restoreBatchSql } from '../sql/backup.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { STALE_MODEL } from '../sql/pending.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { registerModel } from '../state/models.ts';
import { ensureStateSchema, stateExists } from '../state/schema.ts';
import { encodeBinaryArray } from '../vector/binary.ts';
import { windowRows } from './backup.ts';
import type { BackupManifest, BackupRow } from './backup-format.ts';
import { readBackupBatches, verifyBackup } from './read-backup.ts';
import { addRestoredColumn } from './restore-column.ts';
import { planRestore, type RestorePlan } from './restore-plan.ts';
import { takeUpAdapters } from './restored-adapters.ts';

export { restoreMatching } from './restore-matching.ts';

const LOCK_TIMEOUT_MS = 2_000;
const LOCK_ATTEMPTS = 30;

export interface RestoreOptions {
  readonly path: string;
  /** The column to write; by default the one that holds these vectors today, `<column>_old` for old ones that were dropped. */
  readonly into?: string | undefined;
  /** Check and count, change nothing. */
  readonly dryRun?: boolean | undefined;
  /** Give rows whose text was edited since the backup their vector too, although it belongs to another text. */
  readonly includeEdited?: boolean | undefined;
}

export interface RestoreResult {
  readonly path: string;
  readonly table: string;
  readonly column: string;
  /** The column was not there and was added. */
  readonly createdColumn: boolean;
  /** Which vectors of the migration these are. */
  readonly vectors: BackupManifest['vectors'];
  /** Rows written; with `dryRun`, rows that would be. */
  readonly restored: number;
  /** Rows whose text is another one than at the time of the backup; left as they are unless `includeEdited`. */
  readonly edited: number;
  /** Rows of the backup that were deleted since. */
  readonly gone: number;
  /** Rows of the table that the backup does not know. */
  readonly new: number;
  readonly dryRun: boolean;
}

/**
 * Writes a backup's vectors back, byte for byte, after checking file and table. May be repeated: a run that was cut off is
 * finished by the next.
 *
 * @throws IntegrityError `backup_damaged`; PreflightError `backup_missing`, `backup_mismatch`, `restore_target`: before anything is changed
 */
export async function restoreBackup(ctx: MigrationContext, options: RestoreOptions): Promise<RestoreResult> {
  ctx.onProgress({ kind: 'step', step: 'restore', message: `Checking ${options.path}` });
  const manifest = await verifyBackup(options.path);
  const plan = await planRestore(ctx, manifest, options.into);
  const dryRun = options.dryRun === true;
  if (plan.createsColumn && !dryRun) await addRestoredColumn(ctx, plan);
  const models =
    dryRun || plan.target.provenance === undefined ? new Map<number, number>() : await adoptModels(ctx, manifest);
  const counts = await writeRows(ctx, plan, manifest, { ...options, models });
  await takeUpAdapters(ctx, { record: plan.record, column: plan.target.column, modelIds: models.values() });
  const result: RestoreResult = {
    path: options.path,
    table: `${plan.target.schema}.${plan.target.table}`,
    column: plan.target.column,
    createdColumn: plan.createsColumn && !dryRun,
    vectors: manifest.vectors,
    restored: counts.written,
    edited: counts.edited,
    gone: manifest.rows - counts.found,
    new: (await countRows(ctx.db, plan.target)) - counts.found,
    dryRun,
  };
  if (!dryRun && (await stateExists(ctx.db, ctx.runtime.stateSchema))) {
    await recordEvent(ctx.db, ctx.runtime.stateSchema, ctx.definition.id, 'restore', { ...result });
  }
  return result;
}

interface Counts {
  found: number;
  edited: number;
  written: number;
}

async function writeRows(
  ctx: MigrationContext,
  plan: RestorePlan,
  manifest: BackupManifest,
  options: RestoreOptions & { readonly models: ReadonlyMap<number, number> },
): Promise<Counts> {
  const { target } = plan;
  const dryRun = options.dryRun === true;
  const sql = restoreBatchSql(target, { dryRun, includeEdited: options.includeEdited === true });
  const elementOid = await readTypeOid(ctx.db, target);
  const { models } = options;
  const totals: Counts = { found: 0, edited: 0, written: 0 };
  const started = Date.now();
  let done = 0;
  ctx.onProgress({
    kind: 'step',
    step: 'restore',
    message: `${dryRun ? 'Comparing' : 'Writing'} ${target.schema}.${target.table}.${target.column}`,
  });
  for await (const batch of readBackupBatches(options.path, windowRows(target))) {
    throwIfStopped(ctx, 'restore');
    const params = batchParams(target, batch.map(dated(manifest)), elementOid, models);
    const counts = await withLocks(ctx, async (tx) => (await tx.query<Counts>(sql, params)).rows[0]);
    totals.found += counts?.found ?? 0;
    totals.edited += counts?.edited ?? 0;
    totals.written += counts?.written ?? 0;
    done += batch.length;
    const rate = done / Math.max(0.001, (Date.now() - started) / 1000);
    ctx.onProgress({ kind: 'rows', done, total: manifest.rows, rate, etaSeconds: (manifest.rows - done) / rate });
  }
  return totals;
}

/** The trigger knows our writes by their time, which a vector that was marked as stale has lost: without one its mark would go. */
function dated({ createdAt }: BackupManifest): (row: BackupRow) => BackupRow {
  return (row) => (row.model === STALE_MODEL ? { ...row, at: createdAt } : row);
}

function batchParams(
  target: VectorTarget,
  batch: readonly BackupRow[],
  elementOid: number,
  models: ReadonlyMap<number, number>,
): unknown[] {
  const vectors = encodeBinaryArray(
    batch.map((row) => row.vector),
    elementOid,
  );
  const provenance = [
    textArrayLiteral(batch.map((row) => (row.model === null ? null : (models.get(row.model)?.toString() ?? null)))),
    byteaArrayLiteral(batch.map((row) => row.hash)),
    // A stale vector has no time; one of its own keeps the trigger from taking it for a vector that the application wrote.
    textArrayLiteral(batch.map((row) => row.at ?? (row.model === STALE_MODEL ? 'now' : null))),
  ];
  return [
    ...target.key.map((_, i) => textArrayLiteral(batch.map((row) => row.key[i] ?? ''))),
    byteaArrayLiteral(batch.map((row) => row.textHash)),
    Buffer.from(vectors.buffer),
    ...(target.provenance === undefined ? [] : provenance),
  ];
}

/** The backup's model ids → those of this database. */
async function adoptModels(ctx: MigrationContext, manifest: BackupManifest): Promise<Map<number, number>> {
  await ensureStateSchema(ctx.db, ctx.runtime.stateSchema);
  // No model: the mark of a vector whose text was edited. Without it the vector would pass for the application's own.
  const ids = new Map<number, number>([[STALE_MODEL, STALE_MODEL]]);
  for (const [id, fingerprint] of Object.entries(manifest.models)) {
    ids.set(Number(id), await registerModel(ctx.db, ctx.runtime.stateSchema, fingerprint));
  }
  return ids;
}

async function readTypeOid(db: Queryable, target: VectorTarget): Promise<number> {
  const { rows } = await db.query<{ oid: number }>('SELECT $1::text::pg_catalog.regtype::oid AS oid', [
    quoteQualified(target.vectorSchema, target.vectorType),
  ]);
  const oid = rows[0]?.oid;
  if (oid === undefined) throw new Error(`type ${target.vectorType} has no OID`);
  return oid;
}

async function countRows(db: Queryable, target: VectorTarget): Promise<number> {
  const { rows } = await db.query<{ n: number }>(`SELECT count(*)::float8 AS n FROM ${tableSql(target)}`);
  return rows[0]?.n ?? 0;
}

/** Gives up a lock soon, so that nobody queues behind us, and tries again. */
async function withLocks<T>(ctx: MigrationContext, work: (tx: Queryable) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ctx.db.transaction(work, { lockTimeoutMs: LOCK_TIMEOUT_MS });
    } catch (error) {
      if (!isPassingDatabaseError(error) || attempt >= LOCK_ATTEMPTS) throw error;
      await sleep(200 + Math.random() * 300);
      throwIfStopped(ctx, 'restore');
    }
  }
}
