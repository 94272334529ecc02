import { byteaArrayLiteral, textArrayLiteral } from '../sql/array-literal.ts';
import { batchWriteSql } from '../sql/batch-write.ts';
import type { VectorTarget } from '../sql/target.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { fingerprintHash, readModel } from '../state/models.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import { decodeVector, encodeVectorArray } from '../vector/binary.ts';
import { halfToFloat } from '../vector/half.ts';
import { windowRows } from './backup.ts';
import type { BackupManifest, BackupRow } from './backup-format.ts';
import { readBackupBatches, verifyBackup } from './read-backup.ts';

export interface MatchingOptions {
  /** The lease under which is written; a worker that lost it writes nothing. */
  readonly fence?: { readonly migrationId: string; readonly token: string } | undefined;
}

/**
 * Takes vectors of this very model back from a backup, for rows whose text still has the hash of what was embedded; the same
 * guarded statement as the backfill's writes them. Nothing is taken from a backup of another table, key or type, and no adapter's vector: what
 * it was mapped from may have changed since, and mapping it again costs next to nothing.
 *
 * @returns rows written; the backfill does the rest. `leftOut` names adapters whose vectors stay in the backup
 * @throws IntegrityError `backup_damaged`, PreflightError `backup_missing`
 */
export async function restoreMatching(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  path: string,
  modelId: number,
  options: MatchingOptions = {},
): Promise<{ readonly restored: number; readonly leftOut: readonly string[] }> {
  const { target, extension } = resolved;
  const manifest = await verifyBackup(path);
  const models = await sameModels(ctx, manifest, modelId);
  const leftOut = adapterNames(manifest);
  if (models.size === 0 || !fits(manifest, target)) return { restored: 0, leftOut };
  const sql = batchWriteSql(target, modelId, { fenced: options.fence !== undefined });
  const fence = options.fence === undefined ? [] : [options.fence.migrationId, options.fence.token];
  let restored = 0;
  for await (const batch of readBackupBatches(path, windowRows(target))) {
    throwIfStopped(ctx, 'fill');
    const usable = batch.filter((row) => row.model !== null && models.has(row.model)).flatMap(toVectorRow(target));
    if (usable.length === 0) continue;
    const keys = target.key.map((_, i) => textArrayLiteral(usable.map((row) => row.key[i] ?? '')));
    const hashes = byteaArrayLiteral(usable.map((row) => row.hash));
    const vectors = encodeVectorArray(
      usable.map((row) => row.vector),
      extension.vectorOid,
    );
    const { rowCount } = await ctx.db.query(sql, [...keys, hashes, Buffer.from(vectors.buffer), ...fence]);
    restored += rowCount;
  }
  return { restored, leftOut };
}

/** Ids of the backup whose fingerprint is that of `modelId` here. */
async function sameModels(ctx: MigrationContext, manifest: BackupManifest, modelId: number): Promise<Set<number>> {
  const fingerprint = await readModel(ctx.db, ctx.runtime.stateSchema, modelId);
  if (fingerprint === undefined) return new Set();
  const wanted = fingerprintHash(fingerprint);
  const same = Object.entries(manifest.models).filter(([, candidate]) => fingerprintHash(candidate) === wanted);
  return new Set(same.map(([id]) => Number(id)));
}

function adapterNames({ models }: BackupManifest): string[] {
  return Object.values(models)
    .filter(({ provider }) => provider === 'adapted')
    .map(({ name }) => String(name));
}

function fits(manifest: BackupManifest, target: VectorTarget): boolean {
  const keyOf = (key: BackupManifest['key']): string => JSON.stringify(key.map(({ name, type }) => [name, type]));
  return (
    manifest.hasProvenance &&
    manifest.schema === target.schema &&
    manifest.table === target.table &&
    manifest.vectorType === target.vectorType &&
    manifest.dimensions === target.dimensions &&
    keyOf(manifest.key) === keyOf(target.key)
  );
}

interface VectorRow {
  readonly key: readonly string[];
  readonly hash: Buffer;
  readonly vector: Float32Array;
}

function toVectorRow(target: VectorTarget): (row: BackupRow) => VectorRow[] {
  const decode = target.vectorType === 'halfvec' ? decodeHalfvec : decodeVector;
  return ({ key, hash, vector }) => (hash === null || vector === null ? [] : [{ key, hash, vector: decode(vector) }]);
}

/** halfvec's binary form (halfvec_send): as vector's, with big-endian half floats. Each half is exact as float4 and back. */
function decodeHalfvec(bytes: Buffer): Float32Array {
  const dimensions = bytes.readInt16BE(0);
  return halfToFloat(Uint16Array.from({ length: dimensions }, (_, i) => bytes.readUInt16BE(4 + 2 * i)));
}
