import type pg from 'pg';
import { encodeVectorArray } from '../src/vector/binary.ts';

// PGCOPY's binary form (the documentation of COPY, "Binary Format"): signature, flags, length of the header's extension; a row is int16
// number of fields, then each field as int32 length and bytes; -1 instead of a number of fields ends it.
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const ARRAY_HEADER_BYTES = 20;

/** Rows of a bigint key and a vector, as COPY … (FORMAT binary) takes them. All vectors are of one length. */
export function encodeCopyRows(keys: readonly string[], vectors: readonly Float32Array[]): Buffer {
  const elements = Buffer.from(encodeVectorArray(vectors, 0).buffer, ARRAY_HEADER_BYTES);
  const elementBytes = elements.byteLength / vectors.length;
  const rowBytes = 2 + 4 + 8 + elementBytes;
  const bytes = Buffer.allocUnsafe(SIGNATURE.byteLength + keys.length * rowBytes + 2);
  SIGNATURE.copy(bytes);
  let offset = SIGNATURE.byteLength;
  for (const [i, key] of keys.entries()) {
    bytes.writeInt16BE(2, offset);
    bytes.writeInt32BE(8, offset + 2);
    bytes.writeBigInt64BE(BigInt(key), offset + 6);
    elements.copy(bytes, offset + 14, i * elementBytes, (i + 1) * elementBytes);
    offset += rowBytes;
  }
  bytes.writeInt16BE(-1, offset);
  return bytes;
}

/** The part of pg's connection that a COPY needs; its type declarations leave it out. */
interface CopyConnection {
  query(sql: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** Runs `COPY … FROM STDIN` with all of its data at hand. */
export function copyIn(client: pg.Client, sql: string, data: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const copy = {
      submit: (connection: unknown) => (connection as CopyConnection).query(sql),
      handleCopyInResponse(connection: CopyConnection) {
        connection.sendCopyFromChunk(data);
        connection.endCopyFrom();
      },
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => resolve(),
      handleError: (error: Error) => reject(error),
    };
    client.query(copy as unknown as pg.Submittable);
  });
}
