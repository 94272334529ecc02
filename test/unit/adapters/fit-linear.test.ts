import { expect, test } from 'vitest';
import { type Dense, gaussian, plusDiagonal } from '../../../src/adapters/dense.ts';
import { cutFolds } from '../../../src/adapters/fit-folds.ts';
import { fitKinds } from '../../../src/adapters/fit-kinds.ts';
import { fitLowRank } from '../../../src/adapters/fit-low-rank.ts';
import { fitProcrustes } from '../../../src/adapters/fit-procrustes.ts';
import { crossValidateRidge } from '../../../src/adapters/fit-ridge.ts';
import { cosineScore, errorScore } from '../../../src/adapters/fit-score.ts';
import { inverseCholesky, leadingEigen, polarFactor, solveSymmetric } from '../../../src/adapters/linear-algebra.ts';
import { algebra, linearPairs } from './samples.ts';

function expectClose(actual: ArrayLike<number>, expected: readonly number[], digits = 9): void {
  expected.forEach((value, i) => {
    expect(actual[i]).toBeCloseTo(value, digits);
  });
}

/** Column 0 of the first rows: what scikit-learn calls `coef_[0]`. */
function firstColumn({ data, columns }: Dense, count: number): number[] {
  return Array.from({ length: count }, (_, i) => data[i * columns] ?? 0);
}

// Expectations: numpy 2.4, scikit-learn 1.9 (Ridge with solver svd, folds in the same order), scipy.linalg.orthogonal_procrustes.

test('the penalty is the one that scikit-learn chooses on the same folds, and the map is its map', async () => {
  const folds = cutFolds(linearPairs(120, 6, 4, 1, 7), 3);
  const byError = await crossValidateRidge(algebra, folds, errorScore);
  expect(byError.penalty).toBeCloseTo(0.1, 12);
  expect(byError.score).toBeCloseTo(-1.0045765246334635, 9);
  expectClose(
    firstColumn(await byError.solution.weight(), 3),
    [-0.19544802310138681, 0.4167111073450252, 0.6071149836221849],
  );
  // Its score falls all the way: the climb goes to the grid's end.
  const byCosine = await crossValidateRidge(algebra, folds, cosineScore);
  expect(byCosine.penalty).toBeCloseTo(0.0001, 12);
  expect(byCosine.score).toBeCloseTo(0.641779217471931, 9);
});

test('fewer samples than dimensions are solved the other way round, to the same end', async () => {
  const folds = cutFolds(linearPairs(60, 80, 4, 0.5, 7), 3);
  const ridge = await crossValidateRidge(algebra, folds, cosineScore);
  expect(ridge.penalty).toBeCloseTo(Math.sqrt(0.1), 12);
  expect(ridge.score).toBeCloseTo(0.6291948350128035, 9);
  expectClose(
    firstColumn(await ridge.solution.weight(), 3),
    [0.0029766702632034354, -0.048229668104264545, -0.027658829867809133],
  );
});

test('the bias is not penalised', async () => {
  const pairs = linearPairs(120, 6, 4, 1, 7);
  const outcome = (await fitKinds(algebra, ['ridge'], pairs, { seed: 3, normalize: false })).get('ridge');
  if (outcome === undefined || outcome instanceof Error) throw outcome ?? new Error('nothing');
  const [layer] = outcome.projection.layers;
  expectClose(
    layer?.bias ?? [],
    [-0.2489061060221643, -0.004306898099220413, -0.36613033802363903, 0.014229481429524848],
    6,
  );
});

test('low rank keeps the directions that the ridge explains best, and is two smaller layers where that is less', async () => {
  const pairs = linearPairs(300, 40, 30, 0.05, 5);
  const folds = cutFolds(pairs, 3);
  const ridge = await crossValidateRidge(algebra, folds, errorScore);
  const { projection, parameters } = await fitLowRank(algebra, folds, ridge, { score: errorScore, normalize: false });
  expect(parameters.rank).toBe(16);
  expect(projection.layers.map(({ input, output }) => [input, output])).toEqual([
    [40, 16],
    [16, 30],
  ]);
});

test('what low rank keeps are the eigenvectors that numpy finds', async () => {
  const folds = cutFolds(linearPairs(120, 6, 4, 1, 7), 3);
  const ridge = await crossValidateRidge(algebra, folds, errorScore, [0.1]);
  const { values, vectors } = await leadingEigen(algebra, await ridge.solution.explained(), 4);
  expectClose(values, [187.77006237406778, 87.90945938315512, 31.200661234823624, 15.706366268352085], 7);
  const two = {
    rows: 4,
    columns: 2,
    data: Float64Array.from({ length: 8 }, (_, i) => vectors.data[(i >> 1) * 4 + (i & 1)] ?? 0),
  };
  const down = await algebra.multiply(await ridge.solution.weight(), two);
  const map = await algebra.multiply(down, two, 'second');
  expectClose(map.data, [-0.0345257524690671, -0.29645604416410287, -0.21734684068922014, 0.0028230493669060474]);
});

test('a rotation is the one that scipy finds, also between different dimensions', async () => {
  const square = await fitProcrustes(algebra, cutFolds(linearPairs(120, 6, 6, 0.3, 11), 3), false);
  const scale = 0.6363444725136944;
  expect(square.parameters.scale).toBeCloseTo(scale, 9);
  const rotation = [
    0.4865720683685005, 0.4265954418549285, 0.7344779007401748, -0.10954505125746704, 0.04508720045281167,
  ];
  expectClose(
    square.projection.layers[0]?.weight ?? [],
    rotation.map((value) => scale * value),
    6,
  );
  const narrow = await fitProcrustes(algebra, cutFolds(linearPairs(120, 6, 4, 0.3, 11), 3), false);
  expect(narrow.parameters.scale).toBeCloseTo(0.674853577345944, 9);
  const projected = [0.01848595289698646, 0.5608961070496951, 0.44469658758055236, -0.46526468560832024];
  expectClose(
    narrow.projection.layers[0]?.weight ?? [],
    projected.map((value) => 0.674853577345944 * value),
    6,
  );
});

test('blocks of any size solve the same equations', async () => {
  for (const size of [1, 31, 32, 33, 100, 200]) {
    const random = gaussian(size + 10, size, size);
    const a = plusDiagonal(await algebra.multiply(random, random, 'first'), 0.1);
    const x = gaussian(size, 2, 3);
    expectClose((await solveSymmetric(algebra, a, await algebra.multiply(a, x))).data, Array.from(x.data), 6);
  }
  await expect(inverseCholesky(algebra, plusDiagonal(gaussian(2, 2, 1), -9))).rejects.toMatchObject({
    code: 'rank_deficient',
  });
});

test('the polar factor leaves out what the matrix does not span', async () => {
  const low = await algebra.multiply(gaussian(30, 5, 1), gaussian(5, 20, 2));
  const { factor, rank } = await polarFactor(algebra, low);
  expect(rank).toBe(5);
  const again = await algebra.multiply(await algebra.multiply(factor, factor, 'second'), factor);
  expectClose(again.data, Array.from(factor.data), 6);
});

test('of a large matrix the leading eigenvectors are found without the others', async () => {
  const normal = gaussian(40, 300, 4);
  const random = { ...normal, data: normal.data.map((value, i) => value * 0.7 ** Math.floor(i / 300)) };
  const a = await algebra.multiply(random, random, 'first');
  const { values, vectors } = await leadingEigen(algebra, a, 3);
  const turned = await algebra.multiply(a, vectors);
  expectClose(
    turned.data,
    Array.from(vectors.data, (value, i) => value * (values[i % 3] ?? 0)),
    2,
  );
});
