import type { PairedDifference } from './paired-difference.ts';
import type { Criterion, Decision, EvaluationCheck, Verdict } from './types.ts';

/** Two-sided 95%. */
const Z = 1.96;
/** Beyond this nobody labels; the difference lies on the limit. */
const MAX_QUERIES = 1_000_000;

/** @param minGain undefined asks for "not worse" */
export function criterionOf(tolerance: number, minGain: number | undefined): Criterion {
  if (minGain === undefined) return { kind: 'not-worse', limit: tolerance === 0 ? 0 : -tolerance };
  return { kind: 'better', limit: minGain };
}

/** GO when the whole interval lies above the limit, NO-GO when it lies below it; in between, or without labels, inconclusive. */
export function decide(
  difference: Pick<PairedDifference, 'queries' | 'mean' | 'low' | 'high' | 'deviation'> | undefined,
  criterion: Criterion,
): Decision {
  if (difference === undefined) return { verdict: 'inconclusive', criterion, moreQueries: null };
  if (difference.low > criterion.limit) return { verdict: 'go', criterion, moreQueries: null };
  if (difference.high < criterion.limit) return { verdict: 'no-go', criterion, moreQueries: null };
  const distance = Math.abs(difference.mean - criterion.limit);
  const needed = Math.ceil(((Z * difference.deviation) / distance) ** 2);
  const settles = Number.isFinite(needed) && needed <= MAX_QUERIES;
  return { verdict: 'inconclusive', criterion, moreQueries: settles ? Math.max(1, needed - difference.queries) : null };
}

/** A check that fails stands against a swap, whatever the queries say. */
export function heedChecks(verdict: Verdict, checks: readonly Pick<EvaluationCheck, 'level'>[]): Verdict {
  return checks.some(({ level }) => level === 'fail') ? 'no-go' : verdict;
}
