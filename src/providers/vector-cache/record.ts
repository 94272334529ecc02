import { hash } from 'node:crypto';
import { endianness } from 'node:os';
import { crc32 } from 'node:zlib';
import type { EmbedOptions } from '../types.ts';

/** A vector as it is kept. */
export interface KeptVector {
  readonly vector: Float32Array;
  /** Whether its text was longer than the model's limit. */
  readonly truncated: boolean;
  /** Equal for texts that are the same to the model; undefined where the provider does not say. */
  readonly tokenKey: string | undefined;
}

export interface NewVector extends KeptVector {
  readonly key: Buffer;
}

export const KEY_BYTES = 16;
export const HEADER_BYTES = 16;
const MAGIC = 'RVEC';
const VERSION = 1;
const TOKEN_KEY_BYTES = 8;
const TOKEN_KEY_AT = KEY_BYTES;
const FLAGS_AT = TOKEN_KEY_AT + TOKEN_KEY_BYTES;
const VALUES_AT = FLAGS_AT + 4;
const CRC_BYTES = 4;
const TRUNCATED = 1;
const HAS_TOKEN_KEY = 2;

/** What a text is looked up by: the first 16 bytes of the sha256 of kind and text. */
export function textKey(kind: EmbedOptions['kind'], text: string): Buffer {
  return hash('sha256', `${kind}\0${text}`, 'buffer').subarray(0, KEY_BYTES);
}

/** A provider's token key in the form in which it is kept. */
export function shortTokenKey(tokenKey: string): string {
  return hash('sha256', tokenKey, 'buffer').toString('hex', 0, TOKEN_KEY_BYTES);
}

/** Magic, version and dimensions, before the first record and the first key. */
export function encodeHeader(dimensions: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, 'latin1');
  header.writeUInt32LE(VERSION, 4);
  header.writeUInt32LE(dimensions, 8);
  return header;
}

/** Of each record: key, token key, flags, float32 values, all little-endian, and the CRC32 of what is before it. */
export function recordBytes(dimensions: number): number {
  return VALUES_AT + 4 * dimensions + CRC_BYTES;
}

export function encodeRecord({ key, vector, truncated, tokenKey }: NewVector): Buffer {
  const record = Buffer.alloc(recordBytes(vector.length));
  key.copy(record, 0, 0, KEY_BYTES);
  if (tokenKey !== undefined) record.write(tokenKey, TOKEN_KEY_AT, TOKEN_KEY_BYTES, 'hex');
  record.writeUInt32LE((truncated ? TRUNCATED : 0) | (tokenKey === undefined ? 0 : HAS_TOKEN_KEY), FLAGS_AT);
  littleEndian(bytesOf(vector)).copy(record, VALUES_AT);
  const end = record.length - CRC_BYTES;
  record.writeUInt32LE(crc32(record.subarray(0, end)), end);
  return record;
}

/** The vector that is kept under `key`; undefined when the bytes are damaged, or another key's. */
export function decodeRecord(record: Buffer, key: Buffer): KeptVector | undefined {
  const end = record.length - CRC_BYTES;
  if (!record.subarray(0, KEY_BYTES).equals(key)) return undefined;
  if (crc32(record.subarray(0, end)) !== record.readUInt32LE(end)) return undefined;
  const flags = record.readUInt32LE(FLAGS_AT);
  // A copy of its own: in the record the values start at no multiple of four bytes, and the buffer around it is large.
  const vector = new Float32Array((end - VALUES_AT) / 4);
  bytesOf(vector).set(littleEndian(record.subarray(VALUES_AT, end)));
  return {
    vector,
    truncated: (flags & TRUNCATED) !== 0,
    tokenKey: (flags & HAS_TOKEN_KEY) === 0 ? undefined : record.toString('hex', TOKEN_KEY_AT, FLAGS_AT),
  };
}

function bytesOf(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** From this machine's order of bytes to that of the file, or back. */
function littleEndian(bytes: Buffer): Buffer {
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32();
}
