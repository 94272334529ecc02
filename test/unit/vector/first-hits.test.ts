import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstHits } from '../../../src/vector/first-hits.ts';

describe('firstHits', () => {
  it('is what sorting by score, then by position, gives', () => {
    const score = fc.integer({ min: -3, max: 3 });
    fc.assert(
      fc.property(
        fc.array(score, { maxLength: 40 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(40),
        (scores, k, skip) => {
          const sorted = scores.map((value, place) => ({ value, place })).filter(({ place }) => place !== skip);
          const expected = sorted.sort((a, b) => b.value - a.value || a.place - b.place).slice(0, k);
          const found = firstHits(scores, k, skip);
          expect(found.places).toEqual(expected.map(({ place }) => place));
          expect(found.scores).toEqual(expected.map(({ value }) => value));
        },
      ),
    );
  });
});
