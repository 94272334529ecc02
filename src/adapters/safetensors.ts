import { z } from 'zod';
import { AdapterError, messageOf } from '../errors.ts';

// Source: https://github.com/huggingface/safetensors#format. Eight bytes, the header's length as a little-endian uint64; the header, a JSON
// object of names to { dtype, shape, data_offsets } with `__metadata__` for strings; then the values, little-endian, row-major, without gaps.
// Every processor that ONNX Runtime runs on is little-endian itself.

/** A named array of floats in row-major order. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What a safetensors file holds. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
const FLOAT_BYTES = 4;

const wholeNumber = z.number().int().nonnegative();
const metadataSchema = z.record(z.string(), z.string());
const tensorSchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(wholeNumber),
  data_offsets: z.tuple([wholeNumber, wholeNumber]),
});
type TensorInfo = z.infer<typeof tensorSchema>;

/** Tensors in the order given, with float32 values; the header is padded so that they lie at multiples of eight bytes. */
export function encodeSafetensors({ tensors, metadata }: Safetensors): Buffer {
  let end = 0;
  const infos = [...tensors].map(([name, { shape, data }]): [string, TensorInfo] => {
    const begin = end;
    end += data.byteLength;
    return [name, { dtype: 'F32', shape: [...shape], data_offsets: [begin, end] }];
  });
  const text = Buffer.from(JSON.stringify(Object.fromEntries([['__metadata__', metadata], ...infos])));
  const padding = Buffer.alloc((8 - (text.length % 8)) % 8, ' ');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length + padding.length));
  return Buffer.concat([length, text, padding, ...[...tensors.values()].map(({ data }) => bytesOf(data))]);
}

/**
 * Reads a file's bytes; values are copied out of them. Nothing is allocated that the bytes do not back.
 *
 * @param name of the file, for errors
 * @throws AdapterError `safetensors_invalid`, `dtype_unsupported`
 */
export function decodeSafetensors(bytes: Buffer, name: string): Safetensors {
  const { header, values } = split(bytes, name);
  const entries = Object.entries(readJson(header, name));
  const metadata = metadataSchema.safeParse(entries.find(([key]) => key === '__metadata__')?.[1] ?? {});
  if (!metadata.success) throw invalid(name, 'its __metadata__ is not an object of strings');
  const infos = entries
    .filter(([key]) => key !== '__metadata__')
    .map(([key, value]): [string, TensorInfo] => [key, readInfo(key, value, name)])
    .sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1]);
  assertNoGap(infos, values.length, name);
  const tensors = new Map(
    infos.map(
      ([
        key,
        {
          shape,
          data_offsets: [begin, end],
        },
      ]): [string, Tensor] => [key, { shape, data: floatsOf(values.subarray(begin, end)) }],
    ),
  );
  return { tensors, metadata: metadata.data };
}

function split(bytes: Buffer, name: string): { readonly header: Buffer; readonly values: Buffer } {
  if (bytes.length < 8) throw invalid(name, `it has ${bytes.length} bytes, at least 8 were expected; it was cut off`);
  const length = bytes.readBigUInt64LE(0);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw invalid(name, `its header is said to have ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed`);
  }
  const end = 8 + Number(length);
  if (end > bytes.length) {
    throw invalid(name, `its header is said to have ${length} bytes, ${bytes.length - 8} are there; it was cut off`);
  }
  return { header: bytes.subarray(8, end), values: bytes.subarray(end) };
}

function readJson(header: Buffer, name: string): object {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header));
  } catch (cause) {
    throw invalid(name, `its header is not JSON (${messageOf(cause)})`, cause);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw invalid(name, 'its header is not a JSON object');
}

function readInfo(key: string, value: unknown, name: string): TensorInfo {
  const parsed = tensorSchema.safeParse(value);
  if (!parsed.success) throw invalid(name, `${shown(key)} is not described by dtype, shape and data_offsets`);
  const { dtype, shape, data_offsets: offsets } = parsed.data;
  if (dtype !== 'F32') {
    throw new AdapterError('dtype_unsupported', `${shown(key)} of ${name} is ${shown(dtype)}, F32 was expected.`, {
      step: 'adapter',
      hint: 'Projections hold float32 values: take a file that "reembed adapter export" has written.',
      context: { file: name, tensor: key, observed: dtype, expected: 'F32' },
    });
  }
  const expected = shape.reduce((product, size) => product * size, FLOAT_BYTES);
  const observed = offsets[1] - offsets[0];
  if (observed === expected) return parsed.data;
  throw invalid(name, `${shown(key)} has ${observed} bytes, its shape [${shape.join(', ')}] has ${expected}`);
}

/** One tensor behind the other, from the first byte to the last: nothing overlaps, nothing is hidden between them. */
function assertNoGap(infos: readonly (readonly [string, TensorInfo])[], bytes: number, name: string): void {
  let expected = 0;
  for (const [key, { data_offsets: offsets }] of infos) {
    const [begin, end] = offsets;
    if (end > bytes) {
      throw invalid(name, `${shown(key)} ends at byte ${end} of the values, ${bytes} are there; it was cut off`);
    }
    if (begin !== expected) {
      const what = begin < expected ? 'overlaps the tensor before it' : 'leaves a gap before it';
      throw invalid(name, `${shown(key)} ${what}: it begins at byte ${begin}, ${expected} was expected`);
    }
    expected = end;
  }
  if (expected !== bytes) throw invalid(name, `its tensors have ${expected} bytes, ${bytes} are there`);
}

/** In memory of their own, where they lie at a multiple of four bytes. */
function floatsOf(bytes: Buffer): Float32Array {
  const own = new Uint8Array(bytes.length);
  own.set(bytes);
  return new Float32Array(own.buffer);
}

/** The values' own memory, not a copy. */
export function bytesOf(data: Float32Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function invalid(name: string, problem: string, cause?: unknown): AdapterError {
  return new AdapterError('safetensors_invalid', `${name} is no whole safetensors file: ${problem}.`, {
    step: 'adapter',
    hint: 'Copy the file again from where it was made, or train the projection anew with "reembed adapter train".',
    context: { file: name },
    ...(cause === undefined ? {} : { cause }),
  });
}
