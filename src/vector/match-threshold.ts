import { quantile } from './distribution.ts';
import { seededRandom } from './random.ts';

/** Similarities of a number of queries, one array a query: to their hits, or to a sample of rows. */
export type SimilaritiesByQuery = readonly ArrayLike<number>[];

export interface MatchedThreshold {
  /** Old similarities at or above the threshold. */
  readonly passing: number;
  /** Their share of all, 0..1. */
  readonly share: number;
  /** Where the same share of the new similarities passes; NaN where none or all of the old ones do, and nothing can be matched. */
  readonly suggested: number;
  /** The suggestion's 95% bootstrap interval: percentile method, whole queries drawn again, because similarities of one query go together. */
  readonly low: number;
  readonly high: number;
}

interface Ranked {
  readonly values: Float64Array;
  /** The query that each value belongs to. */
  readonly queries: Uint32Array;
  readonly sizes: readonly number[];
}

/**
 * Carries thresholds on similarities from one model to another by matching quantiles: the new threshold lets the same share pass as the
 * old one did, whatever scale either model has.
 *
 * @param old, present of the same queries in the same order
 * @returns a function of the old threshold
 * @throws RangeError when the two are not of the same queries
 */
export function thresholdMatcher(
  old: SimilaritiesByQuery,
  present: SimilaritiesByQuery,
  { seed, resamples = 400 }: { readonly seed: number; readonly resamples?: number },
): (threshold: number) => MatchedThreshold {
  if (old.length !== present.length) {
    throw new RangeError(`thresholds are matched over the same queries, got ${old.length} and ${present.length}`);
  }
  const ranked = rankDescending(present);
  const oldSizes = old.map((values) => values.length);
  return (threshold) => {
    const passing = old.map((values) => countFrom(values, threshold));
    const once = passing.map(() => 1);
    const count = passing.reduce((sum, value) => sum + value, 0);
    const share = shareOf(passing, oldSizes, once);
    if (!(share > 0 && share < 1)) {
      return { passing: count, share, suggested: Number.NaN, low: Number.NaN, high: Number.NaN };
    }
    const drawn = drawWeights(old.length, seed, resamples).map((weights) =>
      valueAtShare(ranked, shareOf(passing, oldSizes, weights), weights),
    );
    const sorted = Float64Array.from(drawn).sort();
    const suggested = valueAtShare(ranked, share, once);
    return { passing: count, share, suggested, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
  };
}

function countFrom(values: ArrayLike<number>, threshold: number): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) if ((values[i] ?? 0) >= threshold) count++;
  return count;
}

function shareOf(passing: readonly number[], sizes: readonly number[], weights: ArrayLike<number>): number {
  let pass = 0;
  let all = 0;
  for (const [i, size] of sizes.entries()) {
    pass += (passing[i] ?? 0) * (weights[i] ?? 0);
    all += size * (weights[i] ?? 0);
  }
  return pass / all;
}

function rankDescending(byQuery: SimilaritiesByQuery): Ranked {
  const values = byQuery.flatMap((similarities) => Array.from(similarities));
  const owners = byQuery.flatMap((similarities, query) => Array.from(similarities, () => query));
  const order = Uint32Array.from(values.keys()).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
  return {
    values: Float64Array.from(order, (place) => values[place] ?? 0),
    queries: Uint32Array.from(order, (place) => owners[place] ?? 0),
    sizes: byQuery.map((similarities) => similarities.length),
  };
}

/** Half way between the last value that passes and the first one that does not. */
function valueAtShare({ values, queries, sizes }: Ranked, share: number, weights: ArrayLike<number>): number {
  let all = 0;
  for (const [query, size] of sizes.entries()) all += size * (weights[query] ?? 0);
  const wanted = share * all;
  let passed = 0;
  let last = values[0] ?? Number.NaN;
  for (const [i, value] of values.entries()) {
    const weight = weights[queries[i] ?? 0] ?? 0;
    if (weight === 0) continue;
    if (passed >= wanted - 1e-9) return (last + value) / 2;
    passed += weight;
    last = value;
  }
  return last;
}

/** How often each query is drawn, in each resample. */
function drawWeights(count: number, seed: number, resamples: number): Uint32Array[] {
  const random = seededRandom(seed);
  return Array.from({ length: resamples }, () => {
    const weights = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const drawn = Math.floor(random() * count);
      weights[drawn] = (weights[drawn] ?? 0) + 1;
    }
    return weights;
  });
}
