import { count, number } from '../amounts.ts';
import type { ShadowReport, WorstSearch } from '../evaluate/shadow/types.ts';
import type { MeanInterval } from '../vector/distribution.ts';
import { markdownTable } from './markdown-table.ts';

const SHOWN_KEYS = 5;

/** The shadow's log for the terminal. */
export function shadowText(report: ShadowReport): string {
  const { overlap, rankBiasedOverlap, firstChanged, latency } = report;
  const agreement = markdownTable(
    ['agreement of old and new', 'mean', '95% interval'],
    [
      [`overlap@${depth(report)}`, share(overlap.mean), interval(overlap)],
      ['rank-biased overlap', share(rankBiasedOverlap.mean), interval(rankBiasedOverlap)],
      ['another first hit', `${Math.round(100 * firstChanged)}%`, ''],
    ],
  );
  const times = markdownTable(
    ['milliseconds', 'p50', 'p95'],
    [
      ['old', milliseconds(latency.old.p50), milliseconds(latency.old.p95)],
      ['new', milliseconds(latency.new.p50), milliseconds(latency.new.p95)],
    ],
  );
  const parts = [whatWasCompared(report), agreement, times, ...worstText(report.worst), MEANING];
  return parts.join('\n\n');
}

const MEANING =
  'Agreement says how much will change, not which side is better: that takes queries with known answers, "reembed evaluate --queries FILE".';

function whatWasCompared(report: ShadowReport): string {
  const { searches, served, since, until, leftOut, complete, failed, lastError } = report;
  const lines = [
    `${count(searches, 'search', 'searches')} of ${report.migration} asked of both sides, ${since} to ${until}: ${number(served.old)} served by the old vectors, ${number(served.new)} by the new ones.`,
  ];
  if (!complete) {
    lines.push('The backfill is not complete: what the new side does not hold yet counts as disagreement.');
  }
  if (leftOut > 0) {
    lines.push(
      `${number(leftOut)} left out: logged before the backfill was complete, or more than are read at a time.`,
    );
  }
  if (failed !== undefined && failed > 0) {
    lines.push(
      `${number(failed)} could not be compared${lastError === undefined ? '' : `, the last one: ${lastError}`}`,
    );
  }
  return lines.join('\n');
}

function depth({ k }: ShadowReport): string {
  return k.least === k.most ? String(k.most) : `${k.least}–${k.most}`;
}

function worstText(worst: readonly WorstSearch[]): string[] {
  if (worst.length === 0) return [];
  const lines = worst.map(({ overlap, query, queryHash, lost, gained, served }) => {
    const other = served === 'old' ? 'new' : 'old';
    const name = query === undefined ? `query ${queryHash}` : `"${query.replaceAll(/[\s\p{Cc}]+/gu, ' ')}"`;
    return `${share(overlap)}  ${name}: ${keys(lost)} by the ${served} side only, ${keys(gained)} by the ${other} one only`;
  });
  return [`Least in common:\n${lines.join('\n')}`];
}

function keys(all: readonly string[]): string {
  if (all.length === 0) return 'nothing';
  const more = all.length > SHOWN_KEYS ? ` and ${all.length - SHOWN_KEYS} more` : '';
  return `${all.slice(0, SHOWN_KEYS).join(', ')}${more}`;
}

function share(value: number): string {
  return value.toFixed(2);
}

function interval({ low, high }: MeanInterval): string {
  return `${share(low)} to ${share(high)}`;
}

function milliseconds(value: number): string {
  return value >= 10 ? value.toFixed(0) : value.toFixed(1);
}
