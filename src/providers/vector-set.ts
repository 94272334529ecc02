import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { ProviderError } from '../errors.ts';
import { sizeOf } from '../models/manifest.ts';
import { halfToFloat } from '../vector/half.ts';
import { type Line, readLines } from './read-lines.ts';

/** Vectors in a file, found by the text they were made from. */
export interface VectorSet {
  readonly size: number;
  readonly paths: readonly string[];
  /** The vector of a text, undefined where the file has none. */
  find(text: string): Promise<Float32Array | undefined>;
  close(): Promise<void>;
}

/** A matrix, row-major, little-endian, with a JSONL file that has the text of each row. */
export interface MatrixFiles {
  readonly vectors: string;
  readonly texts: string;
  /** The property that holds the text; `text` or `key` when undefined. */
  readonly field: string | undefined;
}

/**
 * Lines of `{ "text" | "key": …, "vector" | "embedding": […] }`. A key is the text itself or its sha256 in hexadecimal.
 * The vectors stay in the file; memory holds one entry a text.
 * @throws ProviderError naming the line that is not as expected.
 */
export async function openJsonl(path: string, dimensions: number): Promise<VectorSet> {
  await assertFile(path);
  const places = new Map<string, { readonly offset: number; readonly bytes: number }>();
  for await (const line of readLines(path)) {
    const record = parseRecord(path, line);
    vectorOf(record, path, line, dimensions);
    const key = keyOf(record, undefined, path, line);
    if (!places.has(key)) places.set(key, { offset: line.offset, bytes: line.bytes });
  }
  const handle = await open(path);
  return {
    size: places.size,
    paths: [path],
    find: async (text) => {
      const place = places.get(hashText(text));
      if (place === undefined) return undefined;
      const line = { number: 0, text: (await readAt(handle, place.offset, place.bytes)).toString('utf8') };
      return vectorOf(parseRecord(path, line), path, line, dimensions);
    },
    close: () => handle.close(),
  };
}

/**
 * Opens float16 (`.f16`) or float32 (`.f32`) rows. The rows stay in the file; memory holds one entry a text.
 * @throws ProviderError when the file's size is not texts × dimensions × bytes of a value.
 */
export async function openMatrix(files: MatrixFiles, dimensions: number): Promise<VectorSet> {
  const bytesOfRow = dimensions * (isHalf(files.vectors) ? 2 : 4);
  const size = await assertFile(files.vectors);
  await assertFile(files.texts);
  const rows = new Map<string, number>();
  let count = 0;
  for await (const line of readLines(files.texts)) {
    const key = keyOf(parseRecord(files.texts, line), files.field, files.texts, line);
    if (!rows.has(key)) rows.set(key, count);
    count += 1;
  }
  if (size !== count * bytesOfRow) {
    const expected = `${count} texts × ${dimensions} dimensions need ${count * bytesOfRow}`;
    throw invalid(`${files.vectors} has ${size} bytes; ${expected}, as ${files.texts} has ${count} lines.`);
  }
  const handle = await open(files.vectors);
  return {
    size: rows.size,
    paths: [files.vectors, files.texts],
    find: async (text) => {
      const row = rows.get(hashText(text));
      if (row === undefined) return undefined;
      const vector = decode(await readAt(handle, row * bytesOfRow, bytesOfRow), isHalf(files.vectors));
      return assertFinite(vector, `row ${row} of ${files.vectors}`);
    },
    close: () => handle.close(),
  };
}

/** True for the names of float16 files. */
export function isHalf(path: string): boolean {
  return path.endsWith('.f16');
}

/** A file that cannot be used, which no second attempt changes. */
export function invalid(
  message: string,
  hint = 'Check EMBEDDING_MODEL; docs/models.md shows the forms.',
): ProviderError {
  return new ProviderError('vectors_invalid', message, { retryable: false, hint });
}

function decode(bytes: Buffer, half: boolean): Float32Array {
  // Copied into memory of its own, which is aligned for the typed array.
  const { buffer } = Uint8Array.from(bytes);
  return half ? halfToFloat(new Uint16Array(buffer)) : new Float32Array(buffer);
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead !== length) throw invalid(`The vectors' file became shorter while it was read.`);
  return buffer;
}

async function assertFile(path: string): Promise<number> {
  const size = await sizeOf(path);
  if (size === undefined) throw invalid(`The vectors' file ${path} does not exist.`);
  return size;
}

function parseRecord(path: string, line: Pick<Line, 'text' | 'number'>): Readonly<Record<string, unknown>> {
  try {
    const record: unknown = JSON.parse(line.text);
    if (typeof record === 'object' && record !== null) return record as Readonly<Record<string, unknown>>;
  } catch {
    // Said below, with the place.
  }
  throw invalid(`Line ${line.number} of ${path} is not a JSON object.`);
}

function keyOf(
  record: Readonly<Record<string, unknown>>,
  field: string | undefined,
  path: string,
  line: Pick<Line, 'number'>,
): string {
  if (field === undefined && typeof record.key === 'string') {
    return /^[0-9a-f]{64}$/.test(record.key) ? record.key : hashText(record.key);
  }
  const text = record[field ?? 'text'];
  if (typeof text === 'string') return hashText(text);
  throw invalid(`Line ${line.number} of ${path} has no ${field === undefined ? '"text" or "key"' : `"${field}"`}.`);
}

function vectorOf(
  record: Readonly<Record<string, unknown>>,
  path: string,
  line: Pick<Line, 'number'>,
  dimensions: number,
): Float32Array {
  const values = record.vector ?? record.embedding;
  const where = `line ${line.number} of ${path}`;
  if (!Array.isArray(values)) throw invalid(`There is no "vector" or "embedding" in ${where}.`);
  if (values.length !== dimensions) {
    throw invalid(`The vector in ${where} has ${values.length} dimensions, ${dimensions} were expected.`);
  }
  return assertFinite(
    Float32Array.from(values, (value) => (typeof value === 'number' ? value : Number.NaN)),
    where,
  );
}

function assertFinite(vector: Float32Array, where: string): Float32Array {
  const bad = vector.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw invalid(`Value ${bad + 1} of the vector in ${where} is ${vector[bad]}, not a finite number.`);
  return vector;
}

function hashText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
