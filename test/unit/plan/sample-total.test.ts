import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SampledValue, sampleTotal } from '../../../src/plan/sample-total.ts';

/** Reproducible: the same numbers every time. */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('sampleTotal', () => {
  it('of all rows is their sum, without a range', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1e6)), (values) => {
        const total = values.reduce((sum, value) => sum + value, 0);
        const sample = values.map((value, page) => ({ page, value }));
        expect(sampleTotal(values.length, sample)).toEqual({ value: total, low: total, high: total, basis: 'counted' });
      }),
    );
  });

  it('scales the mean to all rows', () => {
    const sample = [10, 20, 30, 40].map((value, page) => ({ page, value }));
    expect(sampleTotal(1000, sample)).toMatchObject({ value: 25_000, basis: 'sampled' });
  });

  it('never tells less than was seen', () => {
    const sample = [0, 0, 0, 100].map((value, page) => ({ page, value }));
    expect(sampleTotal(5, sample).low).toBeGreaterThanOrEqual(100);
  });

  it('gives a wider range where the rows of a page are alike: they say less than as many rows drawn singly', () => {
    const values = [1, 9, 3, 7, 5];
    const single = values
      .flatMap((value) => Array.from({ length: 20 }, () => value))
      .map((value, page) => ({ page, value }));
    const paged = single.map(({ value }, i) => ({ page: Math.floor(i / 20), value }));
    const width = (sample: readonly SampledValue[]) =>
      sampleTotal(100_000, sample).high - sampleTotal(100_000, sample).value;
    expect(width(paged)).toBeGreaterThan(3 * width(single));
  });

  it('holds the truth in its 95% interval in about 95 of 100 tables, rows lying together by kind', () => {
    let held = 0;
    const rounds = 150;
    for (let round = 0; round < rounds; round++) {
      const random = pseudoRandom(round + 1);
      const pages = Array.from({ length: 200 }, () => 20 + 200 * random());
      const rows = pages.flatMap((level, page) =>
        Array.from({ length: 12 }, () => ({ page, value: level * (0.5 + random()) })),
      );
      const truth = rows.reduce((sum, { value }) => sum + value, 0);
      const drawn = new Set(pages.flatMap((_, page) => (random() < 0.2 ? [page] : [])));
      const { low, high } = sampleTotal(
        rows.length,
        rows.filter(({ page }) => drawn.has(page)),
      );
      if (low <= truth && truth <= high) held += 1;
    }
    expect(held / rounds).toBeGreaterThan(0.89);
    expect(held / rounds).toBeLessThan(0.99);
  });
});
