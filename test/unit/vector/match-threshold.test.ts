import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { thresholdMatcher } from '../../../src/vector/match-threshold.ts';
import { seededRandom } from '../../../src/vector/random.ts';

const random = seededRandom(3);
const old = Array.from({ length: 80 }, () => Array.from({ length: 50 }, () => random()));
const seed = 7;

describe('thresholdMatcher', () => {
  it('finds the threshold again in another scale, and both shares are equal there', () => {
    const squeezed = old.map((values) => values.map((value) => 0.6 + 0.4 * value ** 2));
    const match = thresholdMatcher(old, squeezed, { seed });
    for (const threshold of [0.2, 0.78, 0.97]) {
      const { suggested, low, high, share, passing } = match(threshold);
      expect(suggested).toBeCloseTo(0.6 + 0.4 * threshold ** 2, 2);
      expect(low).toBeLessThanOrEqual(suggested);
      expect(high).toBeGreaterThanOrEqual(suggested);
      expect(squeezed.flat().filter((value) => value >= suggested)).toHaveLength(passing);
      expect(share).toBe(passing / 4000);
    }
  });

  it('has an interval that covers the true threshold in about 95 of 100 samples', () => {
    let covered = 0;
    for (let trial = 0; trial < 200; trial++) {
      const sample = (scale: number) =>
        Array.from({ length: 40 }, () => Array.from({ length: 20 }, () => scale * random()));
      const { low, high } = thresholdMatcher(sample(1), sample(2), { seed: trial, resamples: 200 })(0.8);
      if (low <= 1.6 && high >= 1.6) covered++;
    }
    // Binomial(200, 0.95) gives 178 to 199 with a probability of 0.999.
    expect(covered).toBeGreaterThanOrEqual(178);
    expect(covered).toBeLessThanOrEqual(199);
  });

  it('never moves a higher threshold below a lower one, and keeps equal models at theirs', () => {
    const match = thresholdMatcher(old, old, { seed, resamples: 1 });
    const sorted = old.flat().sort((a, b) => a - b);
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        (a, b) => {
          const lower = match(Math.min(a, b)).suggested;
          expect(lower).toBeLessThanOrEqual(match(Math.max(a, b)).suggested);
          const above = sorted.find((value) => value >= Math.min(a, b)) ?? 1;
          const below = sorted.findLast((value) => value < Math.min(a, b)) ?? 0;
          expect(lower).toBeGreaterThanOrEqual(below);
          expect(lower).toBeLessThanOrEqual(above);
        },
      ),
    );
  });

  it('suggests nothing where no old value passes, or all do', () => {
    const match = thresholdMatcher(old, old, { seed });
    expect(match(1.5)).toMatchObject({ passing: 0, share: 0, suggested: Number.NaN });
    expect(match(-1)).toMatchObject({ passing: 4000, share: 1, suggested: Number.NaN });
    expect(() => thresholdMatcher(old, old.slice(1), { seed })).toThrow('the same queries, got 80 and 79');
  });
});
