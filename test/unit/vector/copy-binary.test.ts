import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stackVectors } from '../../../src/vector/binary.ts';
import { copyHeaderLength, readCopyTuple } from '../../../src/vector/copy-binary.ts';

const HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);

function encodeTuple(fields: readonly (Uint8Array | null)[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(fields.length);
  const parts = fields.map((field) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(field === null ? -1 : field.byteLength);
    return field === null ? length : Buffer.concat([length, field]);
  });
  return Buffer.concat([count, ...parts]);
}

function vectorBytes(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 + 4 * values.length);
  bytes.writeInt16BE(values.length);
  for (const [i, value] of values.entries()) bytes.writeFloatBE(value, 4 + 4 * i);
  return bytes;
}

test('every field of a tuple comes back, behind a header too, and a message that is cut off is refused', () => {
  const field = fc.option(fc.uint8Array({ maxLength: 20 }), { nil: null });
  fc.assert(
    fc.property(fc.array(field, { minLength: 1, maxLength: 5 }), fc.boolean(), (fields, first) => {
      const tuple = encodeTuple(fields);
      const message = first ? Buffer.concat([HEADER, tuple]) : tuple;
      const at = first ? copyHeaderLength(message) : 0;
      const read = readCopyTuple(message, at)?.map(({ start, length }) =>
        length < 0 ? null : new Uint8Array(message.subarray(start, start + length)),
      );
      expect(read).toEqual(fields);
      if (message.length > at + 2) expect(() => readCopyTuple(message.subarray(0, -1), at)).toThrow(RangeError);
    }),
  );
  expect(readCopyTuple(Buffer.of(0xff, 0xff))).toBeUndefined();
  expect(() => copyHeaderLength(Buffer.alloc(19))).toThrow('do not begin as binary COPY does');
});

test('vectors are stacked in order, and one that is of another size, or missing, is named', () => {
  const memory = new Float32Array(6).fill(7).buffer;
  const stack = stackVectors(3, 2, memory);
  stack.push(vectorBytes([1, 2]));
  stack.push(vectorBytes([3, 4, 5]));
  stack.push(undefined);
  expect(() => stack.push(undefined)).toThrow(RangeError);
  const { data, faults } = stack.take();
  expect(data.buffer).toBe(memory);
  expect([...data.subarray(0, 2)]).toEqual([1, 2]);
  expect([...faults]).toEqual([
    [1, 'it has 3 dimensions instead of 2'],
    [2, 'there is no old vector'],
  ]);
  const short = stackVectors(3, 2);
  short.push(vectorBytes([1, 2]));
  expect([...short.take().data]).toEqual([1, 2]);
});
