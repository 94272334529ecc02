import { describe, expect, it } from 'vitest';
import { type HeldOut, measureProjection, measureSimilarityPreservation } from '../../../src/adapters/measure.ts';
import type { Matrix } from '../../../src/adapters/types.ts';
import { meanOf } from '../../../src/vector/distribution.ts';
import { cosine } from '../../../src/vector/math.ts';
import { refusalOf } from '../../helpers/refusal.ts';

const DIMENSIONS = 8;
const ROWS = 40;
const QUERIES = 24;

/** The same numbers can be made with numpy: sin(1 + 13.7 s + 1.37 i + 2.11 j + 0.173 i j). */
function waves(rows: number, s: number): Matrix {
  const value = (at: number): number => {
    const [i, j] = [Math.floor(at / DIMENSIONS), at % DIMENSIONS];
    return Math.sin(1 + s * 13.7 + i * 1.37 + j * 2.11 + i * j * 0.173);
  };
  return { rows, columns: DIMENSIONS, data: Float32Array.from({ length: rows * DIMENSIONS }, (_, at) => value(at)) };
}

const plus = (a: Matrix, b: Matrix, weight: number): Matrix => ({
  ...b,
  data: b.data.map((value, at) => (a.data[at] ?? 0) + weight * value),
});

const real = waves(ROWS, 1);
const adapted = plus(real, waves(ROWS, 2), 0.45);
const queries = plus(real, waves(QUERIES, 5), 0.9);
const answers = Array.from({ length: QUERIES }, (_, i) => (i % 3 === 0 ? [i, (i + 7) % ROWS] : [i]));
const held: HeldOut = {
  pairs: { adapted, real },
  queries: {
    source: 'waves',
    answers,
    real: { queries, documents: real },
    adapted: { queries, documents: adapted },
  },
  seed: 1,
};

describe('measureProjection', () => {
  it('gives the numbers that numpy 1.26.4 gives', async () => {
    const metrics = await measureProjection(held);
    expect(metrics.holdout).toBe(ROWS);
    expect(metrics.mse).toBeCloseTo(0.10088305, 6);
    expect(metrics.cosine.mean).toBeCloseTo(0.94571211, 6);
    expect(metrics.cosine.p5).toBeCloseTo(0.92963759, 6);
    expect(metrics.similarityPreservation).toBeCloseTo(0.87273094, 5);
    expect(metrics.neighbourConsistencyAt10).toBeCloseTo(0.8025, 9);
    expect(metrics.queries).toEqual({ source: 'waves', count: QUERIES });
    expect(metrics.recallAt10).toMatchObject({ real: 0.8958333333333334, adapted: 0.8958333333333334, retention: 1 });
    expect(metrics.reciprocalRank.real).toBeCloseTo(0.61944444, 7);
    expect(metrics.reciprocalRank.adapted).toBeCloseTo(0.29623016, 7);
    expect(metrics.scoreShrinkage).toBeCloseTo(0.98773308, 5);
    const moved = new Map(metrics.thresholds.map(({ real: limit, adapted: value }) => [limit, value]));
    const expected = { 0.3: 0.27433266, 0.5: 0.54060802, 0.6: 0.57878892, 0.8: 0.77204302, 0.9: 0.8577697 };
    for (const [limit, value] of Object.entries(expected)) expect(moved.get(Number(limit))).toBeCloseTo(value, 5);
  });

  it('says how sure a retention is, by drawing queries again', async () => {
    const { recallAt10, reciprocalRank } = await measureProjection(held);
    expect(reciprocalRank.low).toBeLessThan(reciprocalRank.retention);
    expect(reciprocalRank.high).toBeGreaterThan(reciprocalRank.retention);
    expect(recallAt10.low).toBeLessThan(1);
    expect(await measureProjection(held)).toMatchObject({ recallAt10, reciprocalRank });
    const others = await measureProjection({ ...held, seed: 2 });
    expect(others.reciprocalRank.low).not.toBe(reciprocalRank.low);
  });

  it('tells what the old model finds, where it is there', async () => {
    const old = { queries: waves(QUERIES, 1), documents: waves(ROWS, 1) };
    const metrics = await measureProjection({ ...held, queries: { ...held.queries, old } });
    expect(metrics.reciprocalRank.old).toBe(1);
    expect((await measureProjection(held)).reciprocalRank.old).toBeUndefined();
    // Asked for itself the old model's hits begin at 1: mapped queries of its space are measured by that.
    const mapped = await measureProjection({ ...held, queries: { ...held.queries, old, scale: 'old' } });
    expect(mapped.scoreShrinkage).toBeLessThan(metrics.scoreShrinkage);
  });

  it('finds nothing lost where the vectors are the real ones', async () => {
    const same = { ...held.queries, adapted: held.queries.real };
    const metrics = await measureProjection({ ...held, pairs: { adapted: real, real }, queries: same });
    expect(metrics).toMatchObject({ mse: 0, neighbourConsistencyAt10: 1, scoreShrinkage: 1 });
    expect(metrics.similarityPreservation).toBeCloseTo(1, 12);
    expect(metrics.recallAt10).toMatchObject({ retention: 1, low: 1, high: 1 });
    for (const { real: limit, adapted: moved } of metrics.thresholds)
      expect(Math.abs(limit - moved)).toBeLessThan(0.03);
  });

  it('refuses queries that not even the new model answers', async () => {
    const [far, found] = [plus(waves(QUERIES, 5), waves(QUERIES, 5), -2), answers.map(() => [ROWS - 1])];
    const documents = plus(real, real, 0);
    documents.data.set(
      far.data.subarray(0, DIMENSIONS).map((value) => -value),
      (ROWS - 1) * DIMENSIONS,
    );
    const one = { rows: 1, columns: DIMENSIONS, data: far.data.subarray(0, DIMENSIONS) };
    const side = { queries: one, documents };
    const wrong = { ...held.queries, answers: found.slice(0, 1), real: side, adapted: side };
    const { code, message } = await refusalOf(measureProjection({ ...held, queries: wrong }));
    expect(code).toBe('queries_without_hits');
    expect(message).toContain('1 ');
  });

  it('compares more vectors than one part of the matrix holds', async () => {
    const many = waves(600, 3);
    const moved = plus(many, waves(600, 4), 0.45);
    const whole = await measureSimilarityPreservation({ adapted: moved, real: many });
    expect(whole).toBeCloseTo(correlationOfPairs(moved, many), 6);
  });
});

/** The definition, pair by pair. */
function correlationOfPairs(a: Matrix, b: Matrix): number {
  const pairs = (m: Matrix): number[] => {
    const row = (i: number): Float32Array => m.data.subarray(i * m.columns, (i + 1) * m.columns);
    return Array.from({ length: m.rows }, (_, i) => i).flatMap((i) =>
      Array.from({ length: m.rows - i - 1 }, (_, at) => cosine(row(i), row(i + at + 1))),
    );
  };
  const [x, y] = [pairs(a), pairs(b)];
  const [meanX, meanY] = [meanOf(x), meanOf(y)];
  const product = (p: number[], q: number[], mp: number, mq: number): number =>
    p.reduce((sum, value, i) => sum + (value - mp) * ((q[i] ?? 0) - mq), 0);
  return product(x, y, meanX, meanY) / Math.sqrt(product(x, x, meanX, meanX) * product(y, y, meanY, meanY));
}
