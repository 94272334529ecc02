import { count, number } from '../../amounts.ts';
import { othersOf } from '../../vector/cosine-matrix.ts';
import { type MatchedThreshold, type SimilaritiesByQuery, thresholdMatcher } from '../../vector/match-threshold.ts';
import type { EvaluationCheck } from '../types.ts';
import { shortNumber } from './short-number.ts';
import { type CheckedSample, type CheckOptions, MIN_ROWS } from './types.ts';

const SHOWN_BY_DEFAULT = [0.7, 0.8, 0.9];
/** Rows of the sample that stand for queries where there are none. */
const ROWS_AS_QUERIES = 200;
const WHAT = { hits: 'hits of the queries', rows: 'pairs of rows' };
/** With fewer similarities on one side of a threshold its quantile is a matter of luck. */
const MIN_PASSING = 10;

interface Matched {
  readonly by: 'hits' | 'rows';
  readonly old: SimilaritiesByQuery;
  readonly new: SimilaritiesByQuery;
}

/**
 * Where thresholds of application code move. Two models' cosines have different scales; what a threshold means to an application is how much
 * it lets pass, so the new one lets the same share pass: of the hits of its queries where they are given, else of the pairs of sampled rows.
 * The latter holds for comparing rows with rows only: a short query lies elsewhere. Pairs, not neighbours, because those of a whole table lie
 * nearer than those of a sample.
 */
export function checkThresholds(
  sample: CheckedSample,
  options: Pick<CheckOptions, 'thresholds' | 'hits' | 'seed'>,
): EvaluationCheck[] {
  const matched: Matched | undefined = options.hits === undefined ? pairsOf(sample) : { by: 'hits', ...options.hits };
  if (matched === undefined) return [];
  if (matched.old.length < MIN_ROWS)
    return options.thresholds === undefined ? [] : [tooFewQueries(options.thresholds, matched)];
  const match = thresholdMatcher(matched.old, matched.new, options);
  const total = matched.old.reduce((sum, values) => sum + values.length, 0);
  const asked = options.thresholds !== undefined;
  return (options.thresholds ?? SHOWN_BY_DEFAULT).flatMap((threshold) => {
    const found = match(threshold);
    if (Math.min(found.passing, total - found.passing) >= MIN_PASSING) {
      return [movedThreshold(threshold, found, matched.by, asked)];
    }
    return asked ? [unknownThreshold(threshold, found, total, matched.by)] : [];
  });
}

/** Pairs of rows stand for a query and a row: their share does not depend on how many rows were sampled. */
function pairsOf({ sides }: CheckedSample): Matched | undefined {
  const similarities = (side: 'old' | 'new'): SimilaritiesByQuery | undefined => {
    const cosines = sides.find(({ search }) => search.side === side)?.cosines;
    if (cosines === undefined) return undefined;
    return Array.from({ length: Math.min(cosines.count, ROWS_AS_QUERIES) }, (_, i) => othersOf(cosines, i));
  };
  const [old, present] = [similarities('old'), similarities('new')];
  return old === undefined || present === undefined ? undefined : { by: 'rows', old, new: present };
}

function movedThreshold(
  threshold: number,
  { suggested, low, high, share, passing }: MatchedThreshold,
  by: Matched['by'],
  asked: boolean,
): EvaluationCheck {
  const moves = threshold < low || threshold > high;
  const interval = `95% interval ${shortNumber(low)} to ${shortNumber(high)}`;
  const name = by === 'hits' ? 'Suggested threshold' : 'Suggested threshold between rows';
  const instead = by === 'hits' ? '' : '; one for searches needs queries';
  return {
    code: 'threshold',
    // What the application compares with has to be changed with the swap; the others are only examples.
    level: asked && moves ? 'warn' : 'info',
    message: `${name}: ${shortNumber(threshold)} → ${shortNumber(suggested)} (${interval}), ${percent(share)} of the ${WHAT[by]} pass on either side${instead}.`,
    values: { old: threshold, new: suggested, low, high, share, passing, matchedBy: by },
  };
}

function unknownThreshold(
  threshold: number,
  { passing, share }: MatchedThreshold,
  total: number,
  by: Matched['by'],
): EvaluationCheck {
  return {
    code: 'threshold',
    level: 'warn',
    message: `No threshold is suggested for ${shortNumber(threshold)}: ${number(passing)} of ${number(total)} ${WHAT[by]} reach it with the old model, expected at least ${MIN_PASSING} on either side of it.`,
    values: { old: threshold, new: null, low: null, high: null, share, passing, matchedBy: by },
  };
}

function tooFewQueries(thresholds: readonly number[], { old, by }: Matched): EvaluationCheck {
  const asked = thresholds.map(shortNumber).join(', ');
  const there =
    by === 'hits' ? count(old.length, 'query was', 'queries were') : count(old.length, 'row was', 'rows were');
  return {
    code: 'threshold',
    level: 'warn',
    message: `No threshold is suggested for ${asked}: ${there} there, expected at least ${MIN_ROWS}.`,
    values: { old: asked, new: null, low: null, high: null, matchedBy: by },
  };
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))}%`;
}
