import type { KeyColumn } from '../sql/target.ts';

// A backup file, before gzip: MAGIC; uint32 length and the header's JSON in UTF-8; then rows, each a uint32 length and its fields:
// int32 length (-1 for NULL) and bytes of every key value as text, the text's hash, the vector as `vector_send` gives it and, with
// provenance, model (int32), hash and time as text; at the end 0xFFFFFFFF and the number of rows as uint64. All numbers are big-endian.

export const BACKUP_FORMAT = 'reembed-vectors';
export const BACKUP_VERSION = 1;
export const MAGIC = Buffer.from('REEMBED\n', 'latin1');
export const END_MARK = 0xff_ff_ff_ff;

/** What a backup is of: stands at the head of the file and again in its manifest. */
export interface BackupHeader {
  readonly format: typeof BACKUP_FORMAT;
  readonly version: number;
  readonly migration: string;
  /** Which vectors of the migration these are: `old`, `new`, or another column's. */
  readonly vectors: 'old' | 'new' | 'other';
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  /** The column whose text was embedded, or a name for the expression that was. */
  readonly text: string;
  /** That expression in SQL, its columns bare. It is read anew before it is used: anybody may have written a file. */
  readonly textExpression?: string;
  readonly key: readonly KeyColumn[];
  readonly vectorType: 'vector' | 'halfvec';
  /** 0 when the column is declared without dimensions. */
  readonly dimensions: number;
  readonly hasProvenance: boolean;
  /** Fingerprints of the models in the provenance, by their ids in the database of the backup. */
  readonly models: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly reason: string;
  readonly createdAt: string;
  /** Where the write-ahead log stood at the snapshot; null where the server does not say. */
  readonly snapshotLsn: string | null;
}

/** `<file>.json`: the header and what is known only at the end. */
export interface BackupManifest extends BackupHeader {
  readonly file: string;
  readonly rows: number;
  /** Rows whose vector is NULL, counted in `rows`. */
  readonly nullVectors: number;
  readonly bytes: number;
  /** Of the file as it lies on disk. */
  readonly sha256: string;
}

/** One row of a backup. */
export interface BackupRow {
  /** The key's values as text, in key order. */
  readonly key: readonly string[];
  /** Hash of the row's text at the time of the backup; null when the text was NULL. */
  readonly textHash: Buffer | null;
  /** In pgvector's binary form. */
  readonly vector: Buffer | null;
  /** Id in the database of the backup; see `BackupHeader.models`. */
  readonly model: number | null;
  /** Hash of the text that was embedded. */
  readonly hash: Buffer | null;
  /** timestamptz as text. */
  readonly at: string | null;
}

/** Frames of rows, one behind the other. */
export interface EncodedRows {
  readonly bytes: Buffer;
  readonly rows: number;
  /** Of them without a vector. */
  readonly nullVectors: number;
}

export function encodeRows(rows: readonly BackupRow[], hasProvenance: boolean): EncodedRows {
  return {
    bytes: Buffer.concat(rows.map((row) => encodeRow(row, hasProvenance))),
    rows: rows.length,
    nullVectors: rows.filter((row) => row.vector === null).length,
  };
}

export function encodeHeader(header: BackupHeader): Buffer {
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.byteLength);
  return Buffer.concat([MAGIC, length, json]);
}

export function encodeRow(row: BackupRow, hasProvenance: boolean): Buffer {
  const fields: (Buffer | null)[] = [...row.key.map((value) => Buffer.from(value, 'utf8')), row.textHash, row.vector];
  if (hasProvenance) {
    fields.push(
      row.model === null ? null : int32(row.model),
      row.hash,
      row.at === null ? null : Buffer.from(row.at, 'utf8'),
    );
  }
  const parts: Buffer[] = [Buffer.alloc(4)];
  for (const field of fields) {
    parts.push(int32(field === null ? -1 : field.byteLength));
    if (field !== null) parts.push(field);
  }
  const frame = Buffer.concat(parts);
  frame.writeUInt32BE(frame.byteLength - 4);
  return frame;
}

export function encodeEnd(rows: number): Buffer {
  const end = Buffer.alloc(12);
  end.writeUInt32BE(END_MARK);
  end.writeBigUInt64BE(BigInt(rows), 4);
  return end;
}

/**
 * Reads the fields of one row's frame, without its length.
 *
 * @throws RangeError when the fields do not fill the frame
 */
export function decodeRow(frame: Buffer, header: Pick<BackupHeader, 'key' | 'hasProvenance'>): BackupRow {
  let offset = 0;
  const next = (): Buffer | null => {
    const length = frame.readInt32BE(offset);
    offset += 4;
    if (length === -1) return null;
    if (length < 0 || offset + length > frame.byteLength)
      throw new RangeError(`a field of ${length} bytes does not fit its row`);
    offset += length;
    return frame.subarray(offset - length, offset);
  };
  const key = header.key.map(() => next()?.toString('utf8') ?? '');
  const textHash = next();
  const vector = next();
  const model = header.hasProvenance ? (next()?.readInt32BE() ?? null) : null;
  const hash = header.hasProvenance ? next() : null;
  const at = header.hasProvenance ? (next()?.toString('utf8') ?? null) : null;
  if (offset !== frame.byteLength)
    throw new RangeError(`${frame.byteLength - offset} bytes are left behind the last field`);
  return { key, textHash, vector, model, hash, at };
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
