import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { overlapAt, rankBiasedOverlap, rankChanges } from '../../../src/vector/rank-agreement.ts';

const ranking = fc.uniqueArray(fc.constantFrom(...'abcdefghijklmnop'), { maxLength: 12 });

describe('rankBiasedOverlap', () => {
  it.each([
    // RankingSimilarity(a, b).rbo_ext(p) of the package rbo 0.1.3 (PyPI), p = 0.9 and p = 0.5.
    ['abcde', 'abcde', 1, 1],
    ['abcde', 'edcba', 0.737775, 0.1510416667],
    ['abcdefghij', 'bacxeyghzj', 0.6912534952, 0.4684709821],
    ['abcd', 'axbycz', 0.675037, 0.7822916667],
    ['abc', 'xyz', 0, 0],
  ])('of %s and %s is what the reference implementation gives', (a, b, at90, at50) => {
    expect(rankBiasedOverlap([...a], [...b], 0.9)).toBeCloseTo(at90, 9);
    expect(rankBiasedOverlap([...b], [...a], 0.5)).toBeCloseTo(at50, 9);
  });

  it('lies between 0 and 1, is 1 of equal lists and the same in both directions', () => {
    fc.assert(
      fc.property(ranking, ranking, (a, b) => {
        const value = rankBiasedOverlap(a, b);
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1 + 1e-12);
        expect(value).toBeCloseTo(rankBiasedOverlap(b, a), 12);
        expect(rankBiasedOverlap(a, a)).toBeCloseTo(1, 12);
      }),
    );
  });

  it('takes a change at the first place for more than one at the last', () => {
    expect(rankBiasedOverlap([...'xbcde'], [...'abcde'])).toBeLessThan(rankBiasedOverlap([...'abcdx'], [...'abcde']));
  });
});

describe('overlapAt', () => {
  it('counts what the first k have in common, whatever their order', () => {
    expect(overlapAt([...'abcd'], [...'dcxy'], 4)).toBe(0.5);
    expect(overlapAt([...'abcd'], [...'dcxy'], 2)).toBe(0);
  });

  it('asks short answers for no more than they could have', () => {
    expect(overlapAt([...'abc'], [...'abc'], 10)).toBe(1);
    expect(overlapAt([...'ab'], [...'abcd'], 10)).toBe(0.5);
    expect(overlapAt([], [], 10)).toBe(1);
    expect(overlapAt([], [...'a'], 10)).toBe(0);
  });
});

describe('rankChanges', () => {
  it('names what was lost, gained and moved', () => {
    expect(rankChanges([...'abcd'], [...'axcb'])).toEqual({
      lost: ['d'],
      gained: ['x'],
      moved: [{ key: 'b', from: 2, to: 4 }],
    });
  });

  it('accounts for every key once', () => {
    fc.assert(
      fc.property(ranking, ranking, (a, b) => {
        const { lost, gained, moved } = rankChanges(a, b);
        const stayed = a.filter((key, i) => b[i] === key);
        expect([...lost, ...moved.map(({ key }) => key), ...stayed].sort()).toEqual([...a].sort());
        expect([...gained, ...moved.map(({ key }) => key), ...stayed].sort()).toEqual([...b].sort());
      }),
    );
  });
});
