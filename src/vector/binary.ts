import { isFiniteVector } from './math.ts';

// pgvector's binary form (vector_send, src/vector.c): int16 dimensions, int16 unused (0), then big-endian float4s.
// An array of them in Postgres' array form (array_recv, src/backend/utils/adt/arrayfuncs.c): int32 number of dimensions,
// int32 has-nulls flag, int32 element OID, then per dimension int32 length and int32 lower bound, then each element
// as int32 byte length and its bytes.

const VECTOR_HEADER_BYTES = 4;
const ARRAY_HEADER_BYTES = 20;
const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/**
 * The binary form of a one-dimensional `vector[]`.
 *
 * @param vectors each with 1 to 16,000 finite values
 * @param elementOid the OID of type `vector` in this database, from the catalog
 * @throws RangeError for NaN, Infinity and empty vectors, which the server would refuse for the whole statement
 */
export function encodeVectorArray(vectors: readonly Float32Array[], elementOid: number): Uint8Array {
  // Every field is a whole number of 32-bit words: written as such, all are turned around by one native call.
  let words = ARRAY_HEADER_BYTES / 4;
  for (const vector of vectors) words += 2 + vector.length;
  const integers = new Uint32Array(words);
  const floats = new Float32Array(integers.buffer);
  // An OID is unsigned: past 2^31 in databases that have used many of them.
  integers.set([1, 0, elementOid, vectors.length, 1]);
  let at = ARRAY_HEADER_BYTES / 4;
  for (const vector of vectors) {
    checkElement(vector);
    integers[at] = VECTOR_HEADER_BYTES + 4 * vector.length;
    integers[at + 1] = vector.length << 16;
    floats.set(vector, at + 2);
    at += 2 + vector.length;
  }
  swapToNetworkOrder(integers.buffer);
  return new Uint8Array(integers.buffer);
}

function checkElement(vector: Float32Array): void {
  if (vector.length === 0 || vector.length > 16_000) {
    throw new RangeError(`a vector has 1 to 16000 dimensions, got ${vector.length}`);
  }
  if (isFiniteVector(vector)) return;
  throw new RangeError(`a vector holds finite values only, got ${vector.find((value) => !Number.isFinite(value))}`);
}

/** Turns 32-bit words of this machine into big-endian ones, or back, in place. */
function swapToNetworkOrder(words: ArrayBuffer): void {
  if (IS_LITTLE_ENDIAN) Buffer.from(words).swap32();
}

/**
 * The binary form of a one-dimensional array whose elements are in their own binary form already, as `vector_send` or
 * `halfvec_send` gave them: what was read goes back byte for byte.
 *
 * @param elements null stands for SQL NULL
 * @param elementOid the OID of the elements' type in this database
 */
export function encodeBinaryArray(elements: readonly (Uint8Array | null)[], elementOid: number): Uint8Array {
  let size = ARRAY_HEADER_BYTES;
  for (const element of elements) size += 4 + (element?.byteLength ?? 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  writeArrayHeader(view, { length: elements.length, hasNulls: elements.includes(null), elementOid });
  let offset = ARRAY_HEADER_BYTES;
  for (const element of elements) {
    view.setInt32(offset, element === null ? -1 : element.byteLength);
    offset += 4;
    if (element === null) continue;
    bytes.set(element, offset);
    offset += element.byteLength;
  }
  return bytes;
}

interface ArrayHeader {
  readonly length: number;
  readonly hasNulls: boolean;
  readonly elementOid: number;
}

/** One dimension also for an empty array: array_recv takes a length of 0, and the header keeps its size. */
function writeArrayHeader(view: DataView, header: ArrayHeader): void {
  view.setInt32(0, 1);
  view.setInt32(4, header.hasNulls ? 1 : 0);
  // An OID is unsigned: past 2^31 in databases that have used many of them.
  view.setUint32(8, header.elementOid);
  view.setInt32(12, header.length);
  view.setInt32(16, 1);
}

/**
 * Reads what `vector_send(column)` returns.
 *
 * @throws RangeError when the length does not fit the stated dimensions
 */
export function decodeVector(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dimensions = bytes.byteLength >= VECTOR_HEADER_BYTES ? view.getInt16(0) : 0;
  if (bytes.byteLength !== VECTOR_HEADER_BYTES + 4 * dimensions || dimensions < 1) {
    throw new RangeError(`a binary vector of ${dimensions} dimensions does not have ${bytes.byteLength} bytes`);
  }
  // A copy: the bytes of an answer lie anywhere in a buffer that it shares with others.
  const values = new Uint8Array(bytes.subarray(VECTOR_HEADER_BYTES));
  swapToNetworkOrder(values.buffer);
  return new Float32Array(values.buffer);
}

/** Vectors below each other, as a matrix of an adapter has them, put there as they come. */
export interface VectorStack {
  /** Takes what `vector_send` returned, as long as there is room. */
  push(bytes: Uint8Array | undefined): void;
  /** To be taken once: the values, and why a vector is not among them, by its position; its place holds anything. */
  take(): { readonly data: Float32Array; readonly faults: ReadonlyMap<number, string> };
}

/**
 * @param room vectors at most
 * @param memory of just this size, to be used again
 */
export function stackVectors(room: number, dimensions: number, memory?: ArrayBuffer): VectorStack {
  const size = 4 * dimensions;
  const bytes = new Uint8Array(memory?.byteLength === room * size ? memory : new ArrayBuffer(room * size));
  const faults = new Map<number, string>();
  let count = 0;
  return {
    push(vector) {
      if (count === room) throw new RangeError(`there is room for ${room} vectors`);
      if (vector === undefined) faults.set(count, 'there is no old vector');
      else if (vector.byteLength === VECTOR_HEADER_BYTES + size) {
        bytes.set(vector.subarray(VECTOR_HEADER_BYTES), count * size);
      } else {
        faults.set(
          count,
          `it has ${(vector.byteLength - VECTOR_HEADER_BYTES) / 4} dimensions instead of ${dimensions}`,
        );
      }
      count += 1;
    },
    take() {
      const { buffer } = count === room ? bytes : bytes.slice(0, count * size);
      swapToNetworkOrder(buffer);
      return { data: new Float32Array(buffer), faults };
    },
  };
}
