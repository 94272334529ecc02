import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillPlaces, fuseByRank, fuseByScore, type RankedList } from '../../../src/search/fuse.ts';

function list(ids: string, scores?: readonly number[]): RankedList {
  return { hits: [...ids].map((id, i) => ({ id, score: scores?.[i] ?? 1 / (i + 1) })) };
}

const order = (hits: readonly { readonly id: string }[]): string => hits.map(({ id }) => id).join('');

/** Rankings of single letters, each once. */
const ranking = fc.uniqueArray(fc.constantFrom(...'abcdefghijkl'), { maxLength: 12 }).map((ids) => ids.join(''));

describe('fuseByRank', () => {
  it('sums 1 / (60 + rank), the values of the paper’s formula by hand', () => {
    const fused = fuseByRank([list('abc'), list('cb')]);
    expect(fused.map(({ id, score }) => [id, score.toFixed(6)])).toEqual([
      ['c', (1 / 63 + 1 / 61).toFixed(6)],
      ['b', (1 / 62 + 1 / 62).toFixed(6)],
      ['a', (1 / 61).toFixed(6)],
    ]);
  });

  it('sees no scores: those of one model may be a thousand times those of the other', () => {
    expect(fuseByRank([list('abc', [0.9, 0.5, 0.1]), list('ca', [900, 1])])).toEqual(
      fuseByRank([list('abc'), list('ca')]),
    );
  });

  it('counts a ranking by its weight', () => {
    expect(order(fuseByRank([{ ...list('ab'), weight: 3 }, list('ba')]))).toBe('ab');
    expect(order(fuseByRank([list('ab'), { ...list('ba'), weight: 3 }]))).toBe('ba');
  });

  it('leaves the place of a row that a ranking could not hold to the others', () => {
    // b is unknown to the second ranking: its first place in the other counts twice, and outweighs two second places.
    expect(order(fuseByRank([list('bac'), list('ca')]))).toBe('cab');
    expect(order(fuseByRank([list('bac'), { ...list('ca'), unknown: new Set(['b']) }]))).toBe('bca');
  });

  it('keeps an order that all rankings share, loses nothing and falls from hit to hit', () => {
    fc.assert(
      fc.property(ranking, ranking, (a, b) => {
        expect(order(fuseByRank([list(a), list(a)]))).toBe(a);
        const fused = fuseByRank([list(a), list(b)]);
        expect(new Set(fused.map(({ id }) => id))).toEqual(new Set([...a, ...b]));
        for (const [i, hit] of fused.entries()) expect(hit.score).toBeLessThanOrEqual(fused[i - 1]?.score ?? 1);
      }),
    );
  });
});

describe('fuseByScore', () => {
  it.each(['min-max', 'z-score'] as const)('%s brings both models to one scale first', (normalisation) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: -100, max: 100 }), (factor, shift) => {
        const mine = list('abcd', [0.9, 0.8, 0.4, 0.1]);
        const other = [0.7, 0.65, 0.2];
        const stretched = other.map((score) => score * factor + shift);
        expect(order(fuseByScore([mine, list('cad', stretched)], normalisation))).toBe(
          order(fuseByScore([mine, list('cad', other)], normalisation)),
        );
      }),
    );
  });

  it('gives a row that one ranking lacks that ranking’s lowest value', () => {
    const fused = fuseByScore([list('ab', [0.9, 0.1]), list('a', [5])], 'min-max');
    expect(fused).toEqual([
      { id: 'a', score: 2 },
      { id: 'b', score: 1 },
    ]);
  });
});

describe('fillPlaces', () => {
  const places = (ids: string, kept: string) => [...ids].map((id) => ({ id, kept: kept.includes(id) }));

  it('leaves rows that only the complete ranking knows where they are, and orders the rest anew', () => {
    expect(fillPlaces(places('axbyc', 'xy'), ['c', 'b', 'a', 'd'])).toEqual(['c', 'x', 'b', 'y', 'a', 'd']);
  });

  it('is the one ranking with nothing kept, the other with everything kept, and never moves a kept row', () => {
    fc.assert(
      fc.property(ranking, ranking, fc.func(fc.boolean()), (complete, ranked, isKept) => {
        expect(fillPlaces(places(complete, ''), [...ranked]).join('')).toBe(ranked);
        expect(
          fillPlaces(places(complete, complete), [...ranked])
            .join('')
            .slice(0, complete.length),
        ).toBe(complete);
        const kept = [...complete].filter((id) => isKept(id)).join('');
        const filled = fillPlaces(places(complete, kept), [...complete].reverse());
        for (const id of kept) expect(filled.indexOf(id)).toBe(complete.indexOf(id));
        expect(new Set(filled).size).toBe(filled.length);
      }),
    );
  });
});
