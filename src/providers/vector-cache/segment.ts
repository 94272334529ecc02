import { randomBytes } from 'node:crypto';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeHeader, encodeRecord, HEADER_BYTES, KEY_BYTES, type NewVector, recordBytes } from './record.ts';

/** Records, and their keys once more: a million keys are read in a moment, a million records are gigabytes. */
export const VECTORS_END = '.vectors';
export const KEYS_END = '.keys';
/** Vectors tell something of their texts. */
const PRIVATE_FILE = 0o600;
const MAX_READ_BYTES = 4 * 2 ** 20;

/**
 * Tells each whole record of a segment: a torn one at the end, as kill -9 leaves it, is not told. Another format or other dimensions: none.
 *
 * @returns their number
 */
export async function readKeys(
  directory: string,
  name: string,
  dimensions: number,
  tell: (key: Buffer, record: number) => void,
): Promise<number> {
  const vectors = await stat(join(directory, name + VECTORS_END));
  const keys = await open(join(directory, name + KEYS_END), 'r');
  try {
    const { size } = await keys.stat();
    const wholeRecords = Math.floor((vectors.size - HEADER_BYTES) / recordBytes(dimensions));
    const count = Math.max(0, Math.min(wholeRecords, Math.floor((size - HEADER_BYTES) / KEY_BYTES)));
    if (count === 0 || !(await readAt(keys, 0, HEADER_BYTES)).equals(encodeHeader(dimensions))) return 0;
    const keysPerRead = MAX_READ_BYTES / KEY_BYTES;
    for (let first = 0; first < count; first += keysPerRead) {
      const part = await readAt(
        keys,
        HEADER_BYTES + first * KEY_BYTES,
        Math.min(keysPerRead, count - first) * KEY_BYTES,
      );
      for (let i = 0; i < part.length / KEY_BYTES; i++) {
        tell(part.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES), first + i);
      }
    }
    return count;
  } finally {
    await keys.close();
  }
}

/** Reads the given records of a segment, neighbours together. `tell` gets each with its number. */
export async function readRecords(
  directory: string,
  name: string,
  dimensions: number,
  records: readonly number[],
  tell: (record: number, bytes: Buffer) => void,
): Promise<void> {
  const size = recordBytes(dimensions);
  const file = await open(join(directory, name + VECTORS_END), 'r');
  try {
    for (const { first, count } of neighbours(records, Math.max(1, Math.floor(MAX_READ_BYTES / size)))) {
      const bytes = await readAt(file, HEADER_BYTES + first * size, count * size);
      for (let i = 0; (i + 1) * size <= bytes.length; i++) tell(first + i, bytes.subarray(i * size, (i + 1) * size));
    }
  } finally {
    await file.close();
  }
}

function neighbours(records: readonly number[], limit: number): { first: number; count: number }[] {
  const runs: { first: number; count: number }[] = [];
  for (const record of [...new Set(records)].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && run.first + run.count === record && run.count < limit) run.count += 1;
    else runs.push({ first: record, count: 1 });
  }
  return runs;
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}

/** A segment that this process alone appends to. */
export interface SegmentWriter {
  readonly name: string;
  /** Resolves when the system has the records: they outlive this process. @returns the number of the first one */
  append(vectors: readonly NewVector[]): Promise<number>;
  close(): Promise<void>;
}

export async function createSegment(directory: string, dimensions: number): Promise<SegmentWriter> {
  const name = `${microseconds()}-${randomBytes(4).toString('hex')}`;
  const vectorsFile = await openWithHeader(join(directory, name + VECTORS_END), dimensions);
  const keysFile = await openWithHeader(join(directory, name + KEYS_END), dimensions).catch(async (error: unknown) => {
    await vectorsFile.close();
    throw error;
  });
  let count = 0;
  return {
    name,
    async append(vectors) {
      // First the records: a key without its record would promise what is not there.
      await vectorsFile.appendFile(Buffer.concat(vectors.map(encodeRecord)));
      await keysFile.appendFile(Buffer.concat(vectors.map(({ key }) => key)));
      count += vectors.length;
      return count - vectors.length;
    },
    async close() {
      await vectorsFile.close();
      await keysFile.close();
    },
  };
}

/** Closed again when the disk is full: what nobody closes Node complains about later. */
async function openWithHeader(path: string, dimensions: number): Promise<FileHandle> {
  const file = await open(path, 'ax', PRIVATE_FILE);
  try {
    await file.appendFile(encodeHeader(dimensions));
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Since 1970: names in alphabetical order are segments in order of time. */
function microseconds(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}
