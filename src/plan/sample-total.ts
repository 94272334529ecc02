import { type Estimate, exactly } from './estimate.ts';

/** A sampled row: where it lay, and what is added up. */
export interface SampledValue {
  /** Rows of one page of the table were drawn together. */
  readonly page: number;
  readonly value: number;
}

/** Of the normal distribution: 95% lie within. */
const Z = 1.96;

/**
 * What a sample says of the sum over all rows, with its 95% interval. Pages are drawn, not rows, and neighbours are alike: so the error is
 * reckoned between pages (the linearised variance of a ratio of two sums, as for any cluster sample), which is wider than if rows had been drawn.
 *
 * @param rows of the table; with as many in the sample there is no error left
 */
export function sampleTotal(rows: number, sample: readonly SampledValue[]): Estimate {
  const count = sample.length;
  const total = sample.reduce((all, { value }) => all + value, 0);
  if (count >= rows) return exactly(total);
  if (count === 0) return { value: 0, low: 0, high: Number.POSITIVE_INFINITY, basis: 'sampled' };
  const mean = total / count;
  const error = rows * Z * standardError(sample, mean) * Math.sqrt(1 - count / rows);
  const value = rows * mean;
  return { value, low: Math.max(0, total, value - error), high: value + error, basis: 'sampled' };
}

function standardError(sample: readonly SampledValue[], mean: number): number {
  const pages = new Map<number, { rows: number; total: number }>();
  for (const { page, value } of sample) {
    const found = pages.get(page) ?? { rows: 0, total: 0 };
    pages.set(page, { rows: found.rows + 1, total: found.total + value });
  }
  // One page says nothing of the difference between pages; its rows are then all there is.
  const clusters = pages.size > 1 ? [...pages.values()] : sample.map(({ value }) => ({ rows: 1, total: value }));
  if (clusters.length < 2) return mean;
  const squares = clusters.reduce((all, { rows, total }) => all + (total - mean * rows) ** 2, 0);
  return Math.sqrt((squares * clusters.length) / (clusters.length - 1)) / sample.length;
}
