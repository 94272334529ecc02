/** A mean with what it would be in 95 of 100 such samples. */
export interface MeanInterval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 1_000;

/**
 * The mean of per-query values with its 95% percentile-bootstrap interval (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
 * chapter 13). The same values give the same interval: the generator is seeded.
 *
 * @throws RangeError of nothing
 */
export function bootstrapMean(values: readonly number[], seed = 1): MeanInterval {
  if (values.length === 0) throw new RangeError('a mean needs at least one value');
  const mean = sum(values) / values.length;
  const random = mulberry32(seed);
  const means = Float64Array.from({ length: RESAMPLES }, () => {
    let total = 0;
    for (let i = 0; i < values.length; i++) total += values[Math.floor(random() * values.length)] ?? 0;
    return total / values.length;
  }).sort();
  const at = (share: number): number => means[Math.round(share * (RESAMPLES - 1))] ?? mean;
  return { mean, low: at(0.025), high: at(0.975) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Tommy Ettinger's generator of 32 bits: small, seeded, good enough to draw samples with. Values in [0, 1). */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
