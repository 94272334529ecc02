/** What an exact search found for a query. */
export interface ExactAnswer {
  /** Rows that count, at most k. */
  readonly count: number;
  /** The distance of the last of them. */
  readonly farthest: number;
}

/** Rounding of a distance that is computed in another order. */
const TOLERANCE = 1e-6;

/** Of the distances that an exact search gave, nearest first, the row that is asked for itself left out. */
export function exactAnswer(distances: readonly number[], k: number): ExactAnswer {
  const counted = distances.slice(0, k);
  return { count: counted.length, farthest: counted.at(-1) ?? Number.POSITIVE_INFINITY };
}

/**
 * Recall@k by distance: a hit counts when it is as near as the k-th of the exact search. Among rows with one text, and so one vector,
 * it is chance which of them an index returns, and no loss. The measure of ann-benchmarks (Aumüller, Bernhardsson and Faithfull, 2018).
 */
export function recallAt(distances: readonly number[], exact: ExactAnswer, k: number): number {
  if (exact.count === 0) return 1;
  const limit = exact.farthest + TOLERANCE * Math.max(1, Math.abs(exact.farthest));
  const near = distances.slice(0, k).filter((distance) => distance <= limit).length;
  return Math.min(near, exact.count) / exact.count;
}
