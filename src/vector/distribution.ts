import { seededRandom } from './random.ts';

/** A mean with the interval in which it lies with 95% confidence. */
export interface MeanInterval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Quantiles of a set of values. */
export interface Spread {
  readonly p5: number;
  readonly median: number;
  readonly p95: number;
}

/** Ascending; NaN goes nowhere useful and must not be among them. */
export function ascending(values: Iterable<number>): Float64Array {
  return Float64Array.from(values).sort();
}

/** The quantile of ascending values, linear between two (numpy's default, type 7 of Hyndman and Fan 1996). NaN of nothing. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const position = Math.min(1, Math.max(0, share)) * (sorted.length - 1);
  const lower = sorted[Math.floor(position)] ?? Number.NaN;
  const upper = sorted[Math.ceil(position)] ?? lower;
  return lower + (upper - lower) * (position - Math.floor(position));
}

export function spreadOf(values: Iterable<number>): Spread {
  const sorted = ascending(values);
  return { p5: quantile(sorted, 0.05), median: quantile(sorted, 0.5), p95: quantile(sorted, 0.95) };
}

/** NaN of nothing. */
export function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ?? 0;
  return sum / values.length;
}

/**
 * The mean with its 95% bootstrap interval (percentile method: Efron and Tibshirani 1993, chapter 13); NaN of nothing, the mean itself
 * of one value.
 */
export function bootstrapMean(values: ArrayLike<number>, seed: number, resamples = 1000): MeanInterval {
  const random = seededRandom(seed);
  const count = values.length;
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += values[Math.floor(random() * count)] ?? 0;
    means[r] = sum / count;
  }
  means.sort();
  return { mean: meanOf(values), low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

/** A ratio of two means with its interval. */
export interface RatioInterval {
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

/**
 * How much of one mean another one is, with the 95% bootstrap interval (percentile method, the pairs drawn again together). NaN where the
 * whole is 0; a resample whose whole is 0 says nothing and is left out.
 *
 * @param parts, wholes one a query, in the same order
 */
export function bootstrapRatio(
  parts: ArrayLike<number>,
  wholes: ArrayLike<number>,
  seed: number,
  resamples = 1000,
): RatioInterval {
  const random = seededRandom(seed);
  const count = parts.length;
  const ratios: number[] = [];
  for (let r = 0; r < resamples; r++) {
    let part = 0;
    let whole = 0;
    for (let i = 0; i < count; i++) {
      const drawn = Math.floor(random() * count);
      part += parts[drawn] ?? 0;
      whole += wholes[drawn] ?? 0;
    }
    if (whole > 0) ratios.push(part / whole);
  }
  const sorted = ascending(ratios);
  const ratio = meanOf(parts) / meanOf(wholes);
  return { ratio, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
}
