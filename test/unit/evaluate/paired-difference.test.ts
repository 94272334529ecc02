import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide, heedChecks } from '../../../src/evaluate/decide.ts';
import { comparePaired, signFlipTest } from '../../../src/evaluate/paired-difference.ts';
import { seededRandom } from '../../../src/vector/random.ts';

const NOT_WORSE = { kind: 'not-worse', limit: -0.02 } as const;

/** Differences of queries that are lost, won, or come out alike, each by its chance. */
function simulate(queries: number, lost: number, won: number, random: () => number): number[] {
  return Array.from({ length: queries }, () => {
    const drawn = random();
    return drawn < lost ? -1 : drawn < lost + won ? 1 : 0;
  });
}

describe('comparePaired', () => {
  it.each([
    { queries: 60, lost: 0.15, won: 0.25 },
    { queries: 150, lost: 0.05, won: 0.05 },
    { queries: 150, lost: 0.03, won: 0 },
  ])(
    'its interval holds the truth about 95 times of 100: $queries queries, $lost lost, $won won',
    ({ queries, lost, won }) => {
      const random = seededRandom(7);
      const runs = 400;
      let held = 0;
      for (let run = 0; run < runs; run++) {
        const { low, high } = comparePaired(simulate(queries, lost, won, random), run, 400);
        if (low <= won - lost && won - lost <= high) held++;
      }
      expect(held / runs).toBeGreaterThan(0.93);
      expect(held / runs).toBeLessThan(0.99);
    },
  );

  it('says of a few queries without a difference that they show little, and of many that they show enough', () => {
    const few = comparePaired(new Array(10).fill(0), 1);
    expect(decide(few, NOT_WORSE).verdict).toBe('inconclusive');
    expect(few.low).toBeLessThan(-0.1);
    expect(decide(comparePaired(new Array(400).fill(0), 1), NOT_WORSE).verdict).toBe('go');
  });

  const differences = fc.array(fc.constantFrom(-1, -0.5, 0, 0, 0, 1 / 3, 1), { minLength: 1, maxLength: 40 });

  it('does not depend on the order of the queries', () => {
    fc.assert(
      fc.property(differences, fc.integer({ min: 0, max: 99 }), (values, seed) => {
        const reversed = comparePaired([...values].reverse(), seed, 50);
        expect(comparePaired(values, seed, 50)).toEqual(reversed);
      }),
      { numRuns: 50 },
    );
  });

  it('gives the other sign for the sides exchanged: the same mean and p, and an interval around it', () => {
    fc.assert(
      fc.property(differences, (values) => {
        const there = comparePaired(values, 3, 50);
        const back = comparePaired(
          values.map((value) => -value),
          3,
          50,
        );
        expect(back.mean).toBeCloseTo(-there.mean, 12);
        expect(there.low).toBeLessThanOrEqual(there.high);
        expect(there.deviation).toBeCloseTo(back.deviation, 12);
      }),
      { numRuns: 50 },
    );
  });
});

describe('signFlipTest', () => {
  it('comes near the exact probability where that can be counted', () => {
    // 5 of 5 one way: 2 of 32 flips are as far out. scipy 1.17.1, permutation_test(permutation_type='samples'), gives 0.0625.
    expect(signFlipTest([1, 1, 1, 1, 1, 0, 0], 1)).toBeCloseTo(0.0625, 1);
    expect(signFlipTest([1, 1, 1, 1, 1, 0, 0], 1)).toBeGreaterThan(0.055);
    expect(signFlipTest([1, 1, 1, 1, 1, 0, 0], 1)).toBeLessThan(0.07);
    expect(signFlipTest([1, -1, 0.5, -0.5], 1)).toBe(1);
    expect(signFlipTest([0, 0], 1)).toBe(1);
  });
});

describe('decide', () => {
  const of = (mean: number, half: number, queries = 100) => ({
    queries,
    mean,
    low: mean - half,
    high: mean + half,
    deviation: (half * Math.sqrt(queries)) / 1.96,
  });

  it('is GO above the tolerance, NO-GO below it, inconclusive across it', () => {
    expect(decide(of(0, 0.01), NOT_WORSE).verdict).toBe('go');
    expect(decide(of(-0.05, 0.02), NOT_WORSE).verdict).toBe('no-go');
    expect(decide(of(-0.01, 0.05), NOT_WORSE).verdict).toBe('inconclusive');
  });

  it('asks for a gain where one is asked for', () => {
    const better = { kind: 'better', limit: 0.05 } as const;
    expect(decide(of(0.1, 0.02), better).verdict).toBe('go');
    expect(decide(of(0.01, 0.02), better).verdict).toBe('no-go');
    expect(decide(of(0.06, 0.02), better).verdict).toBe('inconclusive');
  });

  it('reckons the queries that would settle it: half the distance takes four times as many', () => {
    const { moreQueries } = decide(of(0, 0.04), NOT_WORSE);
    expect(moreQueries).toBe(300);
    expect(decide(of(-0.02, 0.04), NOT_WORSE).moreQueries).toBeNull();
    expect(decide(undefined, NOT_WORSE)).toMatchObject({ verdict: 'inconclusive', moreQueries: null });
  });

  it('heeds a check that fails', () => {
    expect(heedChecks('go', [{ level: 'warn' }, { level: 'info' }])).toBe('go');
    expect(heedChecks('go', [{ level: 'warn' }, { level: 'fail' }])).toBe('no-go');
  });
});
