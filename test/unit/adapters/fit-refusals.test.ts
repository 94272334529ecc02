import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { gaussian, shuffled } from '../../../src/adapters/dense.ts';
import { fitKinds } from '../../../src/adapters/fit-kinds.ts';
import type { Pairs } from '../../../src/adapters/fit-types.ts';
import { assertOneFit, assertOneModel } from '../../../src/adapters/mixed-models.ts';
import type { Matrix, ProjectionKind } from '../../../src/adapters/types.ts';
import { halfToFloat } from '../../../src/vector/half.ts';
import { algebra, linearPairs, single } from './samples.ts';

const SETTINGS = { seed: 1, normalize: false };

const ridge = (pairs: Pairs) => fitKinds(algebra, ['ridge'], pairs, SETTINGS);
const changed = (matrix: Matrix, change: (value: number, row: number, column: number) => number): Matrix => ({
  ...matrix,
  data: matrix.data.map((value, i) => change(value, Math.floor(i / matrix.columns), i % matrix.columns)),
});

test('pairs that no map can be learned from are refused by what is wrong with them', async () => {
  const good = linearPairs(80, 10, 4, 0.1, 1);
  await expect(ridge(linearPairs(20, 10, 4, 0.1, 1))).rejects.toMatchObject({
    code: 'too_few_samples',
    message: 'There are 20 pairs to learn from; 50 are the least.',
    context: { observed: 20, expected: 50 },
  });
  const holed = changed(good.source, (value, row, column) => (row === 7 && column === 2 ? Number.NaN : value));
  await expect(ridge({ ...good, source: holed })).rejects.toMatchObject({
    code: 'not_finite',
    message: 'The source vector of pair 7 holds NaN or infinite values.',
  });
  const nothing = changed(good.target, (value, row) => (row === 9 ? 0 : value));
  await expect(ridge({ ...good, target: nothing })).rejects.toMatchObject({
    code: 'degenerate_samples',
    context: { row: 9 },
  });
  const copied = changed(good.source, (_, row, column) => good.source.data[(row % 30) * 10 + column] ?? 0);
  await expect(ridge({ ...good, source: copied })).rejects.toMatchObject({
    code: 'degenerate_samples',
    message: 'Of 80 source vectors only 30 differ; half of them is the least.',
  });
  const short = { ...good.target, rows: 79, data: good.target.data.subarray(0, 79 * 4) };
  await expect(ridge({ ...good, target: short })).rejects.toMatchObject({ code: 'dimensions_differ' });
});

test('source vectors that span too few directions are refused, with how many they span', async () => {
  const { target } = linearPairs(200, 64, 64, 0.1, 1);
  const few = single(await algebra.multiply(gaussian(200, 3, 5), gaussian(3, 64, 6)));
  const refused = (await ridge({ source: few, target })).get('ridge');
  expect(refused).toMatchObject({ code: 'rank_deficient', context: { observed: 3, expected: 8 } });
  // Vectors that were filled up with zeros span a quarter of their dimensions, which is enough.
  const padded = changed(linearPairs(200, 64, 64, 0.1, 1).source, (value, _, column) => (column < 16 ? value : 0));
  expect((await ridge({ source: padded, target })).get('ridge')).toHaveProperty('projection');
});

test('a kind that the pairs do not suit is refused beside others that they suit', async () => {
  const kinds: ProjectionKind[] = ['identity', 'procrustes', 'ridge', 'residual-mlp'];
  const outcomes = await fitKinds(algebra, kinds, linearPairs(90, 120, 100, 0.1, 1), SETTINGS);
  expect(outcomes.get('identity')).toMatchObject({
    code: 'dimensions_differ',
    context: { observed: 120, expected: 100 },
  });
  expect(outcomes.get('procrustes')).toMatchObject({
    code: 'rank_deficient',
    context: { observed: 89, expected: 100 },
  });
  expect(outcomes.get('residual-mlp')).toMatchObject({ code: 'too_few_samples', context: { expected: 200 } });
  expect(outcomes.get('ridge')).toHaveProperty('projection');
});

const PASSAGES = 300;
const DIMENSIONS = 512;
const LEGACY = halves('documents');

function halves(name: string): Matrix {
  const file = readFileSync(new URL(`../../../examples/postgres-docs/legacy-1536-${name}.f16`, import.meta.url));
  const data = halfToFloat(new Uint16Array(file.buffer, file.byteOffset, PASSAGES * 1536));
  const first = data.filter((_, i) => i % 1536 < DIMENSIONS);
  return { rows: PASSAGES, columns: DIMENSIONS, data: first };
}

/** What another model might make of the same text: every value at another place, a third of them turned. */
function otherModel(matrix: Matrix): Matrix {
  const at = (row: number, column: number): number =>
    matrix.data[row * DIMENSIONS + ((column * 7 + 3) % DIMENSIONS)] ?? 0;
  return changed(matrix, (_, row, column) => at(row, column) * (column % 3 === 0 ? -1 : 1));
}

test('real passages with old vectors of two models are refused, those of one are not, however noisy', async () => {
  // A map of the old vectors with noise stands for the new model, which is too slow for a unit test.
  const noise = (rows: number, columns: number, seed: number) => gaussian(rows, columns, seed);
  const map = noise(DIMENSIONS, 96, 1);
  const exact = await algebra.multiply({ ...LEGACY, data: Float64Array.from(LEGACY.data) }, map);
  const errors = noise(PASSAGES, 96, 2);
  const target = single({ ...exact, data: exact.data.map((value, i) => value + 0.3 * (errors.data[i] ?? 0)) });
  const other = otherModel(LEGACY);
  const order = shuffled(PASSAGES, 3);
  for (const share of [0.1, 0.3, 0.5]) {
    const replaced = new Set(order.subarray(0, share * PASSAGES));
    const source = changed(LEGACY, (value, row, column) =>
      replaced.has(row) ? (other.data[row * DIMENSIONS + column] ?? 0) : value,
    );
    await expect(assertOneModel(algebra, { source, target }, 1), `${share}`).rejects.toMatchObject({
      code: 'mixed_models',
    });
  }
  await assertOneModel(algebra, { source: LEGACY, target }, 1);
  const shaken = noise(PASSAGES, DIMENSIONS, 4);
  const noisy = changed(LEGACY, (value, row, column) => value + 0.03 * (shaken.data[row * DIMENSIONS + column] ?? 0));
  await assertOneModel(algebra, { source: noisy, target }, 1);
  await assertOneModel(algebra, { source: target, target }, 1);
});

test('pairs of which a part fits no map are refused, and merely bad ones are not', () => {
  const spread = gaussian(1, 500, 1).data;
  const good = spread.map((value) => 0.85 + 0.04 * value);
  expect(() => assertOneFit(good.map((value, i) => (i % 10 === 0 ? value - 0.7 : value)))).toThrowError(
    expect.objectContaining({ code: 'mixed_models', message: expect.stringMatching(/^10% of the 500 pairs/) }),
  );
  expect(() => assertOneFit(good)).not.toThrow();
  expect(() => assertOneFit(spread.map((value) => 0.4 + 0.25 * value))).not.toThrow();
  expect(() => assertOneFit(spread.map((_, i) => i / 500))).not.toThrow();
});
