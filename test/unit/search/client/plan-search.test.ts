import { describe, expect, it } from 'vitest';
import { PreflightError } from '../../../../src/errors.ts';
import type { SearchLayout, SideLayout } from '../../../../src/search/client/layout.ts';
import { planSearch } from '../../../../src/search/client/plan-search.ts';
import { listSettings } from '../../../../src/search/client/read-lists.ts';
import { routeBucket } from '../../../../src/search/client/route-bucket.ts';

const both = { old: true, new: true };
const there = { side: 'old' } as SideLayout;
const gone = new PreflightError('old_column_gone', 'gone');

function layout(over: Partial<SearchLayout>): SearchLayout {
  return {
    mark: '',
    markSql: '',
    active: 'old',
    sides: { old: there, new: there },
    routePercent: null,
    hasGaps: false,
    iterativeScan: true,
    ...over,
  };
}

describe('planSearch', () => {
  it('asks the active side alone, and beside another first the one that has its rows', () => {
    expect(planSearch(layout({}), 'active', 0, both)).toEqual({ served: 'old', sides: ['old'], keyword: undefined });
    expect(planSearch(layout({}), 'new', 0, both)).toMatchObject({ served: 'new', sides: ['old', 'new'] });
    const swapped = layout({ active: 'new' });
    expect(planSearch(swapped, 'active', 0, both).sides).toEqual(['new']);
    expect(planSearch(swapped, 'old', 0, both).sides).toEqual(['new', 'old']);
    // A row of the old column alone that gets its new vector meanwhile has to be seen before it.
    expect(planSearch({ ...swapped, hasGaps: true }, 'active', 0, both).sides).toEqual(['old', 'new']);
  });

  it('gives what cannot be asked to the active side in the modes that promise an answer, and refuses it in the others', () => {
    const finalized = layout({ active: 'new', sides: { old: gone, new: there }, routePercent: 0 });
    for (const mode of ['route', 'merge'] as const) {
      expect(planSearch(finalized, mode, 50, both)).toMatchObject({ served: 'new', sides: ['new'] });
    }
    expect(() => planSearch(finalized, 'old', 0, both)).toThrow(gone);
    const unready = layout({ routePercent: 100 });
    expect(planSearch(unready, 'route', 50, { old: true, new: false }).served).toBe('old');
    expect(() => planSearch(unready, 'merge', 0, { old: true, new: false })).toThrow('The new model is not configured');
  });
});

describe('routeBucket', () => {
  it('spreads keys evenly, the same way every time and another way for another migration', () => {
    const keys = Array.from({ length: 4_000 }, (_, i) => `user-${i}`);
    const buckets = keys.map((key) => routeBucket('one', key));
    expect(buckets).toEqual(keys.map((key) => routeBucket('one', key)));
    for (const percent of [1, 10, 50, 90]) {
      const share = (100 * buckets.filter((bucket) => bucket < percent).length) / keys.length;
      expect(Math.abs(share - percent)).toBeLessThan(3);
    }
    const other = keys.filter((key) => routeBucket('two', key) < 50 === routeBucket('one', key) < 50);
    expect(Math.abs(other.length / keys.length - 0.5)).toBeLessThan(0.05);
  });
});

describe('listSettings', () => {
  const ivfflat = { index: { name: 'i', kind: 'ivfflat', lists: 30, probes: 6, efSearch: undefined } } as const;
  const hnsw = { index: { name: 'i', kind: 'hnsw', lists: undefined, probes: undefined, efSearch: 40 } } as const;

  it('lets an index go on where a filter leaves little, or look at more where pgvector cannot', () => {
    expect(listSettings(ivfflat, { iterativeScan: true }, 10, false)).toEqual({ 'ivfflat.probes': '6' });
    expect(listSettings(ivfflat, { iterativeScan: true }, 10, true)).toEqual({
      'ivfflat.probes': '6',
      'ivfflat.iterative_scan': 'relaxed_order',
    });
    expect(listSettings(hnsw, { iterativeScan: true }, 10, true)['hnsw.iterative_scan']).toBe('relaxed_order');
    expect(listSettings(ivfflat, { iterativeScan: false }, 10, true)).toEqual({ 'ivfflat.probes': '24' });
    expect(listSettings(hnsw, { iterativeScan: false }, 20, true)).toEqual({ 'hnsw.ef_search': '200' });
    expect(listSettings(hnsw, { iterativeScan: false }, 500, true)).toEqual({ 'hnsw.ef_search': '1000' });
  });
});
