import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeVector, encodeBinaryArray, encodeVectorArray } from '../../../src/vector/binary.ts';

const float4 = fc.float({ noNaN: true, noDefaultInfinity: true });
const vector = fc.float32Array({ minLength: 1, maxLength: 50, noNaN: true, noDefaultInfinity: true });

/** Reads Postgres' binary array form independently of the code that writes it. */
function readArray(bytes: Uint8Array): { oid: number; hasNulls: boolean; elements: (Uint8Array | null)[] } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  expect(buffer.readInt32BE(0)).toBe(1);
  expect(buffer.readInt32BE(16)).toBe(1);
  const elements: (Uint8Array | null)[] = [];
  let offset = 20;
  for (let i = 0; i < buffer.readInt32BE(12); i++) {
    const length = buffer.readInt32BE(offset);
    elements.push(length === -1 ? null : buffer.subarray(offset + 4, offset + 4 + length));
    offset += 4 + Math.max(0, length);
  }
  expect(offset).toBe(bytes.byteLength);
  return { oid: buffer.readUInt32BE(8), hasNulls: buffer.readInt32BE(4) === 1, elements };
}

describe('encodeVectorArray', () => {
  test('every vector arrives bit for bit, negative zero and denormals included', () => {
    fc.assert(
      fc.property(fc.array(vector, { maxLength: 20 }), (vectors) => {
        const { elements, hasNulls } = readArray(encodeVectorArray(vectors, 16_385));
        expect(hasNulls).toBe(false);
        expect(elements.map((element) => element && decodeVector(element))).toEqual(vectors);
      }),
    );
  });

  test('keeps an OID past 2^31, which databases that have used many of them give', () => {
    expect(readArray(encodeVectorArray([Float32Array.of(1)], 4_000_000_000)).oid).toBe(4_000_000_000);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('refuses %s at any place', (bad) => {
    fc.assert(
      fc.property(vector, fc.nat(), (values, place) => {
        const spoilt = Float32Array.from(values);
        spoilt[place % spoilt.length] = bad;
        expect(() => encodeVectorArray([values, spoilt], 1)).toThrow(/finite/);
      }),
      { numRuns: 20 },
    );
  });

  test('refuses vectors without dimensions and with more than pgvector takes', () => {
    expect(() => encodeVectorArray([new Float32Array(0)], 1)).toThrow(/1 to 16000 dimensions, got 0/);
    expect(() => encodeVectorArray([new Float32Array(16_001)], 1)).toThrow(/got 16001/);
  });
});

describe('encodeBinaryArray', () => {
  test('gives back any bytes and NULLs unchanged', () => {
    const element = fc.option(fc.uint8Array({ maxLength: 40 }));
    fc.assert(
      fc.property(fc.array(element, { maxLength: 20 }), (elements) => {
        const read = readArray(encodeBinaryArray(elements, 7));
        expect(read.elements.map((bytes) => bytes && Uint8Array.from(bytes))).toEqual(elements);
        expect(read.hasNulls).toBe(elements.includes(null));
      }),
    );
  });

  test('is the same array as encodeVectorArray makes of the same vectors', () => {
    fc.assert(
      fc.property(fc.array(vector, { minLength: 1, maxLength: 5 }), (vectors) => {
        const encoded = encodeVectorArray(vectors, 9);
        expect(encodeBinaryArray(readArray(encoded).elements, 9)).toEqual(encoded);
      }),
    );
  });
});

describe('decodeVector', () => {
  test('refuses bytes whose length does not fit the stated dimensions', () => {
    fc.assert(
      fc.property(
        fc.array(float4, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: -3, max: 3 }),
        (values, change) => {
          fc.pre(change !== 0);
          const bytes = encodeVectorArray([Float32Array.from(values)], 1).subarray(24);
          const changed = new Uint8Array(bytes.byteLength + change);
          changed.set(bytes.subarray(0, changed.byteLength));
          expect(() => decodeVector(changed)).toThrow(RangeError);
        },
      ),
    );
    expect(() => decodeVector(new Uint8Array(0))).toThrow(RangeError);
  });
});
