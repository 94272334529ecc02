import { expect, it } from 'vitest';
import { combine } from '../../../../src/search/client/combine.ts';
import type { SearchPlan } from '../../../../src/search/client/plan-search.ts';
import type { ListedHit } from '../../../../src/search/client/read-lists.ts';

function listed(id: string, score: number, other: boolean): ListedHit {
  return { id, key: [id], text: id, score, stale: false, other };
}

it.each(['rank', 'min-max', 'z-score'] as const)(
  'hybrid search fused by %s keeps a row that only the other column has',
  (fusion) => {
    const plan: SearchPlan = { served: 'new', sides: ['old', 'new'], keyword: 'all' };
    const lists = {
      new: [listed('a', 0.9, true), listed('b', 0.5, true)],
      old: [listed('gap', 0.8, false), listed('a', 0.7, true)],
      keyword: [listed('b', 7, true)],
    };
    const hits = combine(plan, lists, { fusion }, 10);
    expect(hits.map(({ key: [id], from }) => [id, from])).toEqual(
      expect.arrayContaining([
        ['gap', 'old'],
        ['a', 'new'],
        ['b', 'keyword'],
      ]),
    );
  },
);
