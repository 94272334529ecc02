/** One ranking of rows, best first. */
export interface RankedList {
  readonly hits: readonly { readonly id: string; readonly score: number }[];
  /** How much it counts beside the others (1). */
  readonly weight?: number;
  /** Rows that this ranking could not have held: their place is left to the other rankings, instead of counting as a bad one. */
  readonly unknown?: ReadonlySet<string>;
}

export interface FusedHit {
  readonly id: string;
  readonly score: number;
}

/** Of reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009. */
export const RRF_K = 60;

/**
 * Weighted reciprocal rank fusion: the sum of weight / (k + rank) over the rankings, ranks from 1. Scores play no part, so those of
 * different models may be of any size.
 */
export function fuseByRank(lists: readonly RankedList[], k = RRF_K): FusedHit[] {
  return fuse(lists, ({ hits }) => ({
    points: hits.map((_, i) => 1 / (k + i + 1)),
    absent: 0,
  }));
}

export type Normalisation = 'min-max' | 'z-score';

/**
 * The weighted mean of scores that were brought to one scale within each ranking: `min-max` to 0..1, `z-score` to mean 0 and
 * deviation 1. A row that a ranking does not hold gets that ranking's lowest value.
 */
export function fuseByScore(lists: readonly RankedList[], normalisation: Normalisation): FusedHit[] {
  return fuse(lists, ({ hits }) => {
    const points = (normalisation === 'min-max' ? minMax : zScores)(hits.map(({ score }) => score));
    return { points, absent: points.length === 0 ? 0 : Math.min(...points) };
  });
}

interface Points {
  /** Of the ranking's hits, in their order. */
  readonly points: readonly number[];
  /** Of a row that is not among them. */
  readonly absent: number;
}

/** Each row's weighted mean of points over the rankings that could hold it, times their number: without `unknown` rows that is the sum. */
function fuse(lists: readonly RankedList[], pointsOf: (list: RankedList) => Points): FusedHit[] {
  const scored = lists.map((list) => {
    const { points, absent } = pointsOf(list);
    const byId = new Map(list.hits.map(({ id }, i) => [id, points[i] ?? absent]));
    return { weight: list.weight ?? 1, unknown: list.unknown, byId, absent };
  });
  const total = scored.reduce((sum, { weight }) => sum + weight, 0);
  const ids = new Set(lists.flatMap(({ hits }) => hits.map(({ id }) => id)));
  const fused = [...ids].map((id) => {
    const able = scored.filter(({ unknown, byId }) => byId.has(id) || unknown?.has(id) !== true);
    const weight = able.reduce((sum, list) => sum + list.weight, 0);
    const sum = able.reduce((points, list) => points + list.weight * (list.byId.get(id) ?? list.absent), 0);
    return { id, score: weight === 0 ? 0 : (sum * total) / weight };
  });
  // The sort is stable: of equal rows the one that an earlier ranking holds comes first.
  return fused.sort((a, b) => b.score - a.score);
}

function minMax(scores: readonly number[]): number[] {
  const low = Math.min(...scores);
  const range = Math.max(...scores) - low;
  return scores.map((score) => (range === 0 ? 1 : (score - low) / range));
}

function zScores(scores: readonly number[]): number[] {
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const deviation = Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length);
  return scores.map((score) => (deviation === 0 ? 0 : (score - mean) / deviation));
}

/**
 * One ranking out of two of which neither knows all rows' place: `complete` ranks every row, by a model that is to be replaced, and says
 * which of them only it can rank (`kept`); `ranked` has all others in the better order. Kept rows stay at their places, the places
 * between them are filled from `ranked` in its order. With nothing kept that is `ranked`, with everything kept `complete`: what a row
 * gains or loses never depends on how many rows the better model has seen.
 *
 * @returns ids, each once; as many as the two name
 */
export function fillPlaces(
  complete: readonly { readonly id: string; readonly kept: boolean }[],
  ranked: readonly string[],
): string[] {
  const kept = new Set(complete.flatMap(({ id, kept }) => (kept ? [id] : [])));
  const others = ranked.filter((id) => !kept.has(id));
  let next = 0;
  const places = complete.flatMap((place) => {
    const id = place.kept ? place.id : others[next++];
    return id === undefined ? [] : [id];
  });
  return [...places, ...others.slice(next)];
}
