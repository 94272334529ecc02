import type { Queryable } from '../db/types.ts';
import { byteaArrayLiteral, textArrayLiteral } from '../sql/array-literal.ts';
import { batchWriteSql } from '../sql/batch-write.ts';
import type { VectorTarget } from '../sql/target.ts';
import { encodeVectorArray } from '../vector/binary.ts';

/** A row with its vector and the hash of the text that was embedded. */
export interface EmbeddedRow {
  readonly key: readonly string[];
  readonly hash: Uint8Array;
  readonly vector: Float32Array;
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
  const hashes = byteaArrayLiteral(rows.map((row) => row.hash));
  const vectors = encodeVectorArray(
    rows.map((row) => row.vector),
    to.vectorOid,
  );
  const fence = to.fence === undefined ? [] : [to.fence.migrationId, to.fence.token];
  const sql = batchWriteSql(to.target, to.modelId, { fenced: to.fence !== undefined });
  const { rowCount } = await db.query(sql, [...keys, hashes, Buffer.from(vectors.buffer), ...fence]);
  return rowCount;
}
