import { quantile } from '../vector/distribution.ts';
import { seededRandom } from '../vector/random.ts';

/** The mean of paired differences, one a query, and how sure it is. */
export interface PairedDifference {
  readonly queries: number;
  readonly mean: number;
  /** 95% bootstrap interval. */
  readonly low: number;
  readonly high: number;
  /** Of the sign-flip test against "no difference", two-sided. */
  readonly pValue: number;
  /** Of the differences, the two that nobody saw counted in: what the number of queries to come is reckoned from. */
  readonly deviation: number;
}

const RESAMPLES = 10_000;
const MIN_RESAMPLES = 1_000;
/** Draws of single queries: beyond it resamples become fewer, so that thousands of queries do not hold the process for minutes. */
const MAX_DRAWS = 20_000_000;

function resamplesFor(queries: number): number {
  return Math.round(Math.min(RESAMPLES, Math.max(MIN_RESAMPLES, MAX_DRAWS / queries)));
}

/**
 * Compares two sides query by query. The seed decides the draw, the order of the queries nothing.
 *
 * The interval is a percentile bootstrap (Efron and Tibshirani 1993, chapter 13) in which two queries that nobody saw take part: one that
 * is lost entirely, one that is won entirely. Without them a few queries that all came out alike would leave an interval of no width; with
 * them a loss that was not seen among n queries may still be about 3/n, as the rule of three has it.
 *
 * @param differences new minus old, each -1..1
 */
export function comparePaired(
  differences: readonly number[],
  seed: number,
  resamples: number = resamplesFor(differences.length),
): PairedDifference {
  // In order of size, so that the same queries in another order are drawn alike.
  const sorted = Float64Array.from(differences).sort();
  const widened = Float64Array.of(...sorted, -1, 1);
  const means = resampleMeans(widened, seededRandom(seed), resamples);
  return {
    queries: sorted.length,
    mean: meanOf(sorted),
    low: quantile(means, 0.025),
    high: quantile(means, 0.975),
    pValue: signFlipTest(sorted, seed, resamples),
    deviation: deviationOf(widened),
  };
}

function resampleMeans(values: Float64Array, random: () => number, resamples: number): Float64Array {
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[Math.floor(random() * values.length)] ?? 0;
    means[r] = sum / values.length;
  }
  return means.sort();
}

/**
 * The share of sign flips whose sum is at least as far from 0 as the one observed: the paired randomisation test of Fisher, for
 * rankings Smucker, Allan and Carterette, CIKM 2007. Queries that came out alike on both sides say nothing and are left out. The
 * observed one counts as a flip, so that it is never 0.
 */
export function signFlipTest(differences: ArrayLike<number>, seed: number, flips: number = RESAMPLES): number {
  const changed = Array.from(differences)
    .filter((each) => each !== 0)
    .sort((a, b) => a - b);
  const observed = Math.abs(changed.reduce((sum, each) => sum + each, 0));
  const random = seededRandom(seed);
  let atLeast = 1;
  for (let flip = 0; flip < flips; flip++) {
    let sum = 0;
    for (const each of changed) sum += random() < 0.5 ? each : -each;
    // Sums of the same values in another order differ in their last bits.
    if (Math.abs(sum) >= observed - 1e-9) atLeast++;
  }
  return atLeast / (flips + 1);
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

function deviationOf(values: Float64Array): number {
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (values.length - 1));
}
