import { endianness } from 'node:os';
import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/** What a migration's model made of fixed texts when it was first used, and when it last did so again. */
export interface StoredCanary {
  readonly modelId: number;
  readonly texts: readonly string[];
  readonly vectors: readonly Float32Array[];
  /** The database's time, as text with all its digits: rows written since have nobody's word. */
  readonly checkedAt: string;
  /** Whether a run has begun to write since. */
  readonly writtenSince: boolean;
}

/** The state's tables must be of the present version. */
export async function readCanary(db: Queryable, stateSchema: string, id: string): Promise<StoredCanary | undefined> {
  const { rows } = await db.query<Omit<StoredCanary, 'vectors'> & { readonly vectors: Buffer }>(
    `SELECT model_id AS "modelId", texts, vectors, checked_at::text AS "checkedAt", written_since AS "writtenSince"
     FROM ${tableOf(stateSchema)} WHERE migration_id = $1`,
    [id],
  );
  const row = rows[0];
  return row === undefined ? undefined : { ...row, vectors: decodeVectors(row.vectors, row.texts.length) };
}

export async function saveCanary(db: Queryable, stateSchema: string, id: string, canary: StoredCanary): Promise<void> {
  await db.query(
    `INSERT INTO ${tableOf(stateSchema)} (migration_id, model_id, texts, vectors, checked_at, written_since)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (migration_id) DO UPDATE SET model_id = EXCLUDED.model_id, texts = EXCLUDED.texts, vectors = EXCLUDED.vectors,
       checked_at = EXCLUDED.checked_at, written_since = EXCLUDED.written_since`,
    [
      id,
      canary.modelId,
      JSON.stringify(canary.texts),
      encodeVectors(canary.vectors),
      canary.checkedAt,
      canary.writtenSince,
    ],
  );
}

/** The service made the same of the texts at `checkedAt`. */
export async function markCanary(
  db: Queryable,
  stateSchema: string,
  id: string,
  { checkedAt, writtenSince }: Pick<StoredCanary, 'checkedAt' | 'writtenSince'>,
): Promise<void> {
  await db.query(`UPDATE ${tableOf(stateSchema)} SET checked_at = $2, written_since = $3 WHERE migration_id = $1`, [
    id,
    checkedAt,
    writtenSince,
  ]);
}

function tableOf(stateSchema: string): string {
  return `${quoteIdentifier(stateSchema)}.canaries`;
}

/** One after the other, float32, little-endian. */
function encodeVectors(vectors: readonly Float32Array[]): Buffer {
  const parts = vectors.map((vector) => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength));
  return littleEndian(Buffer.concat(parts));
}

function decodeVectors(bytes: Buffer, count: number): Float32Array[] {
  const values = new Float32Array(bytes.length / 4);
  Buffer.from(values.buffer).set(littleEndian(bytes));
  const dimensions = values.length / count;
  return Array.from({ length: count }, (_, i) => values.subarray(i * dimensions, (i + 1) * dimensions));
}

function littleEndian(bytes: Buffer): Buffer {
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32();
}
