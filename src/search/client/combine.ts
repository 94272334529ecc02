import { type FusedHit, fillPlaces, fuseByRank, fuseByScore, type RankedList, RRF_K } from '../fuse.ts';
import { otherSide, type SearchPlan } from './plan-search.ts';
import type { ListedHit, Lists } from './read-lists.ts';
import type { SearchClientHit, SearchClientOptions, Side, Source } from './types.ts';

const SOURCES: readonly Source[] = ['old', 'new', 'keyword'];

/** The rankings of all sources as one, best first, cut to `limit`. */
export function combine(
  plan: SearchPlan,
  lists: Lists,
  { fusion = 'rank', weights = {} }: Pick<SearchClientOptions, 'fusion' | 'weights'>,
  limit: number,
): SearchClientHit[] {
  const found = byId(lists);
  const ranked = fusion === 'rank' ? byRank(plan, lists, weights) : byScore(plan, lists, weights, fusion);
  return ranked.slice(0, limit).flatMap(({ id, score }) => {
    const hit = found.get(id);
    return hit === undefined ? [] : [{ ...hit, score, from: sourceOf(hit, plan) }];
  });
}

type Weights = NonNullable<SearchClientOptions['weights']>;

function byRank(plan: SearchPlan, lists: Lists, weights: Weights): readonly FusedHit[] {
  const { served, keyword } = plan;
  if (served === 'keyword') return lists.keyword ?? [];
  if (served === 'both') {
    const sides = (['old', 'new'] as const).map((side) => ({
      hits: placed(viewOf(side, lists)),
      weight: weights[side] ?? 1,
    }));
    return fuseByRank(sides);
  }
  const isOneList = plan.sides.length === 1;
  const own = isOneList ? (lists[served] ?? []) : placed(viewOf(served, lists));
  if (keyword === undefined) return own;
  const words = { hits: lists.keyword ?? [], weight: weights.keyword ?? 1 };
  return fuseByRank([{ hits: own, weight: weights[served] ?? 1 }, words]);
}

/** One side's order, with the rows that it cannot rank where the other side has them. */
function viewOf(side: Side, lists: Lists): string[] {
  const own = (lists[side] ?? []).map(({ id }) => id);
  const other = lists[otherSide(side)] ?? [];
  return fillPlaces(
    other.map((hit) => ({ id: hit.id, kept: !hit.other })),
    own,
  );
}

/** Scores of two models stand for nothing beside each other: places do. */
function placed(ids: readonly string[]): FusedHit[] {
  return ids.map((id, i) => ({ id, score: 1 / (RRF_K + i + 1) }));
}

function byScore(plan: SearchPlan, lists: Lists, weights: Weights, fusion: 'min-max' | 'z-score'): readonly FusedHit[] {
  const { served, keyword } = plan;
  // Only where several sources rank the same rows is there anything to weigh; rows that fill a gap have a place, and no score beside the others.
  const fillsGaps = plan.sides.length > 1;
  if (served !== 'both' && (keyword !== 'all' || fillsGaps)) return byRank(plan, lists, weights);
  if (served === 'keyword') return lists.keyword ?? [];
  const sources: readonly Source[] = served === 'both' ? ['old', 'new'] : [served, 'keyword'];
  return fuseByScore(
    sources.map((source): RankedList => {
      const other = source === 'keyword' ? undefined : lists[otherSide(source)];
      const unknown = new Set(other?.flatMap((hit) => (hit.other ? [] : [hit.id])));
      return { hits: lists[source] ?? [], weight: weights[source] ?? 1, unknown };
    }),
    fusion,
  );
}

/** A row that the served side has ranked stands where that side put it; where several are fused, the one that ranked it best counts. */
function sourceOf({ found, from }: Omit<SearchClientHit, 'score'>, { served, keyword }: SearchPlan): Source {
  const own = served === 'both' ? undefined : found[served];
  if (served === 'both' || own === undefined) return from;
  const isBest = own.rank <= (found[from]?.rank ?? Number.POSITIVE_INFINITY);
  return isBest || keyword !== 'all' ? served : from;
}

function byId(lists: Lists): Map<string, Omit<SearchClientHit, 'score'>> {
  const hits = new Map<string, Omit<SearchClientHit, 'score'>>();
  for (const source of SOURCES) {
    for (const [i, hit] of (lists[source] ?? []).entries()) {
      const place = { rank: i + 1, score: hit.score };
      hits.set(hit.id, merged(hits.get(hit.id), hit, source, place));
    }
  }
  return hits;
}

function merged(
  before: Omit<SearchClientHit, 'score'> | undefined,
  { key, text, stale }: ListedHit,
  source: Source,
  place: { readonly rank: number; readonly score: number },
): Omit<SearchClientHit, 'score'> {
  const found = { ...before?.found, [source]: place };
  const best = before === undefined ? undefined : before.found[before.from];
  const from = before === undefined || best === undefined || place.rank < best.rank ? source : before.from;
  return { key, text, from, found, stale: stale || before?.stale === true };
}
