import { expect, test } from 'vitest';
import { normalizeRows, pool } from '../../../src/models/pooling.ts';
import { halfToFloat } from '../../../src/vector/half.ts';

// Two texts of 2 and 3 tokens, 2 dimensions; 9 is what the graph returned for padding.
const states = {
  data: Float32Array.of(1, 2, 3, 6, 9, 9, 10, 20, 20, 30, 60, 40),
  sequence: 3,
  dimensions: 2,
  lengths: Int32Array.of(2, 3),
};

test('mean pooling leaves padding out', () => {
  expect([...pool(states, 'mean')]).toEqual([2, 4, 30, 30]);
});

test('cls pooling takes the first token', () => {
  expect([...pool(states, 'cls')]).toEqual([1, 2, 10, 20]);
});

test('last-token pooling takes the last token that is not padding', () => {
  expect([...pool(states, 'last-token')]).toEqual([3, 6, 60, 40]);
});

test('rows are scaled to length 1, zero rows stay as they are', () => {
  const rows = Float32Array.of(3, 4, 0, 0);
  normalizeRows(rows, 2);
  expect([...rows]).toEqual([Math.fround(0.6), Math.fround(0.8), 0, 0]);
});

test('half precision is read exactly: subnormals, infinities and signs too', () => {
  const halves = Uint16Array.of(0x3c00, 0xc000, 0x3555, 0x0001, 0x7bff, 0x7c00, 0xfc00, 0x8000);
  const expected = [1, -2, 0.333251953125, 2 ** -24, 65504, Infinity, -Infinity, -0];
  expect([...halfToFloat(halves)]).toEqual(expected);
  expect(halfToFloat(Uint16Array.of(0x7e00))[0]).toBeNaN();
});
