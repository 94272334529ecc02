import type { Queryable } from '../db/types.ts';
import { textArrayLiteral } from '../sql/array-literal.ts';
import { batchWriteSql } from '../sql/batch-write.ts';
import type { VectorTarget } from '../sql/target.ts';
import { encodeBinaryArray, encodeVectorArray } from '../vector/binary.ts';

/** The OID of `bytea`, the same in every database. */
const BYTEA_OID = 17;

/** A row with its vector, and the hash of the text that was embedded. */
export interface EmbeddedRow {
  readonly key: readonly string[];
  /** Undefined where the old vector was mapped, and no text read. */
  readonly hash?: Uint8Array | undefined;
  readonly vector: Float32Array;
  /** `xmin` of the row as it was read: while it stands, the text is the same and its hash need not be computed. */
  readonly version?: string | undefined;
  /** The OID of the partition that it was read from; undefined in an ordinary table. */
  readonly part?: string | undefined;
}

export interface WriteTarget {
  readonly target: VectorTarget;
  readonly modelId: number;
  /** OID of type `vector` in this database. */
  readonly vectorOid: number;
  /** The lease under which is written; a worker that lost it writes nothing. */
  readonly fence: { readonly migrationId: string; readonly token: string } | undefined;
}

/**
 * Writes a batch in one statement; see `batchWriteSql` for what it guards.
 *
 * @returns the number of rows written: less than given where rows were locked, edited, deleted or done by someone else
 */
export async function writeBatch(db: Queryable, to: WriteTarget, rows: readonly EmbeddedRow[]): Promise<number> {
  if (rows.length === 0) return 0;
  const keys = to.target.key.map((_, i) => textArrayLiteral(rows.map((row) => row.key[i] ?? '')));
  const hashes = to.target.mappedFrom === undefined ? [toBuffer(encodeHashes(rows))] : [];
  const vectors = encodeVectorArray(
    rows.map((row) => row.vector),
    to.vectorOid,
  );
  const versions = textArrayLiteral(rows.map((row) => row.version ?? null));
  const fence = to.fence === undefined ? [] : [to.fence.migrationId, to.fence.token];
  const sql = batchWriteSql(to.target, to.modelId, { fenced: to.fence !== undefined, versioned: true });
  const { rowCount } = await db.query(sql, [...keys, ...hashes, toBuffer(vectors), versions, ...fence]);
  return rowCount;
}

function encodeHashes(rows: readonly EmbeddedRow[]): Uint8Array {
  return encodeBinaryArray(
    rows.map((row) => row.hash ?? null),
    BYTEA_OID,
  );
}

/** The same bytes as what `pg` sends in binary. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
