import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascending, bootstrapMean, bootstrapRatio, quantile, spreadOf } from '../../../src/vector/distribution.ts';
import { seededRandom } from '../../../src/vector/random.ts';

describe('quantile', () => {
  it('is what numpy 1.26.4 gives: numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], [0, .05, .3, .5, .95, 1])', () => {
    const sorted = ascending([3, 1, 4, 1, 5, 9, 2, 6]);
    const shares = [0, 0.05, 0.3, 0.5, 0.95, 1];
    const expected = [1, 1, 2.1, 3.5, 7.95, 9];
    for (const [i, share] of shares.entries()) expect(quantile(sorted, share)).toBeCloseTo(expected[i] ?? 0, 12);
  });

  it('never leaves the values, nor goes down as the share goes up', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1 }), (values) => {
        const { p5, median, p95 } = spreadOf(values);
        expect(p5).toBeGreaterThanOrEqual(Math.min(...values));
        expect(median).toBeGreaterThanOrEqual(p5);
        expect(p95).toBeGreaterThanOrEqual(median);
        expect(p95).toBeLessThanOrEqual(Math.max(...values));
      }),
    );
  });
});

describe('bootstrapMean', () => {
  it('covers the true mean in about 95 of 100 samples', () => {
    const random = seededRandom(11);
    let covered = 0;
    for (let trial = 0; trial < 200; trial++) {
      const values = Array.from({ length: 60 }, () => random());
      const { low, high } = bootstrapMean(values, trial, 400);
      if (low <= 0.5 && high >= 0.5) covered++;
    }
    // Binomial(200, 0.95): 180 to 199 with a probability of 0.998; the percentile method is a little narrow.
    expect(covered).toBeGreaterThanOrEqual(178);
    expect(covered).toBeLessThanOrEqual(199);
  });

  it('gives the same interval to the same seed, and none to a single value', () => {
    const values = [0.1, 0.9, 0.4, 0.7];
    expect(bootstrapMean(values, 5)).toEqual(bootstrapMean(values, 5));
    expect(bootstrapMean([0.25], 5)).toEqual({ mean: 0.25, low: 0.25, high: 0.25 });
    expect(bootstrapMean([], 5).mean).toBeNaN();
  });
});

describe('bootstrapRatio', () => {
  it('covers the true ratio in about 95 of 100 samples', () => {
    const random = seededRandom(5);
    let covered = 0;
    for (let trial = 0; trial < 200; trial++) {
      const wholes = Array.from({ length: 80 }, () => (random() < 0.8 ? 1 : 0));
      const parts = wholes.map((whole) => (random() < 0.9 ? whole : 0));
      const { low, high } = bootstrapRatio(parts, wholes, trial, 400);
      if (low <= 0.9 && high >= 0.9) covered++;
    }
    // As above; parts and wholes go together, which drawing them apart would forget: the interval would be twice as wide.
    expect(covered).toBeGreaterThanOrEqual(176);
    expect(covered).toBeLessThanOrEqual(199);
  });

  it('is NaN of nothing', () => {
    expect(bootstrapRatio([0, 0], [0, 0], 1).ratio).toBeNaN();
    expect(bootstrapRatio([1, 0], [1, 1], 1).ratio).toBe(0.5);
  });
});
