import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeSafetensors, encodeSafetensors, type Tensor } from '../../../src/adapters/safetensors.ts';
import { AdapterError } from '../../../src/errors.ts';

const SHAPES = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
const TENSOR = SHAPES.chain((shape): fc.Arbitrary<Tensor> => {
  const size = shape.reduce((product, each) => product * each, 1);
  return fc.float32Array({ minLength: size, maxLength: size }).map((data) => ({ shape, data }));
});
const NAME = fc.string({ minLength: 1 }).filter((name) => name !== '__metadata__');
const FILE = fc.record({
  tensors: fc
    .uniqueArray(fc.tuple(NAME, TENSOR), { selector: ([name]) => name, maxLength: 4 })
    .map((all) => new Map(all)),
  metadata: fc.dictionary(fc.string(), fc.string(), { maxKeys: 3, noNullPrototype: true }),
});
const TWO = encodeSafetensors({
  tensors: new Map([
    ['a', { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
    ['b', { shape: [2], data: Float32Array.of(5, 6) }],
  ]),
  metadata: { made: 'by hand' },
});

/** A file with this header and so many bytes of values. */
function fileOf(header: unknown, bytes: number): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(bytes)]);
}

const f32 = (shape: number[], begin: number, end: number): object => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

describe('safetensors', () => {
  test('are as the format says: length, padded header, values', () => {
    const header =
      '{"__metadata__":{"made":"by hand"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[2],"data_offsets":[16,24]}}';
    const length = Number(TWO.readBigUInt64LE(0));
    expect(length % 8).toBe(0);
    expect(
      TWO.subarray(8, 8 + length)
        .toString()
        .trimEnd(),
    ).toBe(header);
    expect(Array.from({ length: 6 }, (_, i) => TWO.readFloatLE(8 + length + 4 * i))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('come back as they were written, whatever the names, shapes and values', () => {
    fc.assert(
      fc.property(FILE, (file) => {
        const read = decodeSafetensors(encodeSafetensors(file), 'x');
        expect(new Map([...read.tensors].sort())).toEqual(new Map([...file.tensors].sort()));
        expect(read.metadata).toEqual(file.metadata);
      }),
    );
  });

  test('that were cut off anywhere, or hold any bytes at all, are refused by an error that says so', () => {
    for (let length = 0; length < TWO.length; length++) {
      expect(() => decodeSafetensors(TWO.subarray(0, length), 'x')).toThrow(AdapterError);
    }
    const isRefusedOrRead = (bytes: Uint8Array): void => {
      try {
        decodeSafetensors(Buffer.from(bytes), 'x');
      } catch (error) {
        expect(error).toBeInstanceOf(AdapterError);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), isRefusedOrRead));
    fc.assert(fc.property(fc.json(), fc.nat(64), (header, bytes) => isRefusedOrRead(fileOf(header, bytes))));
    const changed = fc.tuple(fc.nat(TWO.length - 1), fc.nat(255));
    fc.assert(fc.property(changed, ([at, value]) => isRefusedOrRead(TWO.map((byte, i) => (i === at ? value : byte)))));
  });

  test.each([
    [
      'a header longer than allowed',
      Buffer.from('ffffffffffffff7f', 'hex'),
      'is said to have 9223372036854775807 bytes, at most 100000000',
    ],
    [
      'a header longer than the file',
      fileOf('{}', 0).fill(9, 0, 1),
      'is said to have 9 bytes, 2 are there; it was cut off',
    ],
    ['no JSON', fileOf('{"a":', 0), 'its header is not JSON'],
    ['a list', fileOf([], 0), 'its header is not a JSON object'],
    ['metadata that is no text', fileOf({ __metadata__: { a: 1 } }, 0), '__metadata__ is not an object of strings'],
    ['values beyond the end', fileOf({ a: f32([4], 0, 16) }, 12), '"a" ends at byte 16 of the values, 12 are there'],
    ['overlapping values', fileOf({ a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12), '"b" overlaps the tensor before it'],
    ['a gap', fileOf({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12), '"b" leaves a gap before it'],
    ['values of nobody', fileOf({ a: f32([1], 0, 4) }, 8), 'its tensors have 4 bytes, 8 are there'],
    [
      'another size than the shape has',
      fileOf({ a: f32([2, 3], 0, 8) }, 8),
      '"a" has 8 bytes, its shape [2, 3] has 24',
    ],
    ['a shape beyond all numbers', fileOf({ a: f32([2 ** 52, 2 ** 52, 2 ** 52], 0, 8) }, 8), 'has 8 bytes'],
    ['offsets the wrong way round', fileOf({ a: f32([1], 4, 0) }, 4), '"a" has -4 bytes'],
    ['offsets below zero', fileOf({ a: f32([1], -4, 0) }, 4), '"a" is not described by dtype, shape and data_offsets'],
    ['another type', fileOf({ a: { ...f32([1], 0, 2), dtype: 'F16' } }, 2), '"a" of x is "F16", F32 was expected'],
  ])('with %s are refused', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes, 'x')).toThrow(message);
  });
});
