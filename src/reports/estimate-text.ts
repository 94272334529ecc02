import { count, number } from '../amounts.ts';
import type { Estimate } from '../plan/estimate.ts';
import { plural } from '../plural.ts';

/** Three digits: more would pretend to know. */
function rounded(value: number): string {
  return number(Number(value.toPrecision(3)));
}

/**
 * `about 1,230 rows (sampled: 1,100 to 1,400)`, `1,234 rows (counted)`.
 * @param show one number with its unit
 * @param bare the same in a range, where the unit is clear
 */
export function estimateText(
  { value, low, high, basis }: Estimate,
  show: (value: number) => string,
  bare: (value: number) => string = show,
): string {
  if (basis === 'counted') return `${show(value)} (counted)`;
  const range = low === high ? '' : `: ${bare(low)} to ${bare(high)}`;
  return `about ${show(value)} (${basis}${range})`;
}

/** A number of things: counted ones as they are, others to three digits. */
export function countText(estimate: Estimate, one: string): string {
  if (estimate.basis === 'counted') return estimateText(estimate, (value) => count(value, one));
  const show = (value: number): string => `${rounded(value)} ${plural(Math.round(value), one)}`;
  return estimateText(estimate, show, rounded);
}
