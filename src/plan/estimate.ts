/** How a number was come by, the surest first: every one was looked at, it was timed here, a sample speaks for all, a formula does. */
export type Basis = 'counted' | 'measured' | 'sampled' | 'estimated';

const BASES: readonly Basis[] = ['counted', 'measured', 'sampled', 'estimated'];

/** A number with what is known of its error. */
export interface Estimate {
  readonly value: number;
  /** Of a sample the 95% interval, of a formula the range in which the truth is expected; both are `value` where it is counted. */
  readonly low: number;
  readonly high: number;
  readonly basis: Basis;
}

/** A number without an error. */
export function exactly(value: number, basis: Basis = 'counted'): Estimate {
  return { value, low: value, high: value, basis };
}

/** A formula's result that may be `factor` times too large or too small. */
export function within(value: number, factor: number): Estimate {
  return { value, low: value / factor, high: value * factor, basis: 'estimated' };
}

export function times(estimate: Estimate, factor: number): Estimate {
  return { ...estimate, value: estimate.value * factor, low: estimate.low * factor, high: estimate.high * factor };
}

export function sum(estimates: readonly Estimate[]): Estimate {
  return estimates.reduce(
    (all, each) => ({
      value: all.value + each.value,
      low: all.low + each.low,
      high: all.high + each.high,
      basis: lessSure(all.basis, each.basis),
    }),
    exactly(0),
  );
}

export function lessSure(a: Basis, b: Basis): Basis {
  return BASES.indexOf(a) > BASES.indexOf(b) ? a : b;
}
