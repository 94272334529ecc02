import { COUNTS } from './judge.ts';
import type { RunResult } from './run.ts';

/** One line of the table: a kind of fault over all runs. */
export interface KindTotal {
  readonly kind: string;
  readonly thrown: number;
  readonly missed: number;
}

/** The kinds in alphabetical order, and how often each hit. */
export function totalsByKind(results: readonly RunResult[]): KindTotal[] {
  const totals = new Map<string, { thrown: number; missed: number }>();
  for (const { kind, thrown } of results.flatMap((result) => result.faults)) {
    const total = totals.get(kind) ?? { thrown: 0, missed: 0 };
    total[thrown ? 'thrown' : 'missed'] += 1;
    totals.set(kind, total);
  }
  return [...totals].map(([kind, total]) => ({ kind, ...total })).sort((a, b) => a.kind.localeCompare(b.kind));
}

/** The report as Markdown: for the screen, and to be pasted into docs/reliability.md. */
export function reportText(results: readonly RunResult[], about: readonly string[]): string {
  const totals = totalsByKind(results);
  const sum = (pick: (total: KindTotal) => number): number => totals.reduce((all, total) => all + pick(total), 0);
  const lines = [
    ...about,
    '',
    '| fault | thrown | came too late |',
    '| ----- | -----: | ------------: |',
    ...totals.map(({ kind, thrown, missed }) => `| ${kind} | ${thrown} | ${missed} |`),
    `| **all** | **${sum((total) => total.thrown)}** | ${sum((total) => total.missed)} |`,
    '',
    `| runs | operations acknowledged | without an answer | reads | ${COUNTS.join(' | ')} |`,
    `| ---: | ---: | ---: | ---: | ${COUNTS.map(() => '---:').join(' | ')} |`,
    `| ${[results.length, ...operations(results), ...COUNTS.map((count) => countOf(results, count))].join(' | ')} |`,
  ];
  const remarks = new Map<string, number>();
  for (const remark of results.flatMap((result) => result.remarks)) {
    const short = remark.replace(/\s+/g, ' ').slice(0, 160);
    remarks.set(short, (remarks.get(short) ?? 0) + 1);
  }
  if (remarks.size > 0) lines.push('', 'Remarks:', '', ...[...remarks].map(([remark, n]) => `- ${n} × ${remark}`));
  return lines.join('\n');
}

function operations(results: readonly RunResult[]): number[] {
  const sum = (pick: (result: RunResult) => number): number => results.reduce((all, result) => all + pick(result), 0);
  return [
    sum(({ operations: { acknowledged } }) => acknowledged),
    sum(({ operations: { unknown } }) => unknown),
    sum(({ operations: { reads } }) => reads),
  ];
}

function countOf(results: readonly RunResult[], count: (typeof COUNTS)[number]): number {
  return results.flatMap((result) => result.violations).filter((violation) => violation.count === count).length;
}

/** A line a run, as it ends. */
export function describeRun({ plan, faults, violations, operations: { acknowledged }, seconds }: RunResult): string {
  const thrown = faults.filter((fault) => fault.thrown).map(({ kind, phase }) => `${kind} in ${phase}`);
  const verdict = violations.length === 0 ? 'ok' : `${violations.length} VIOLATIONS`;
  const missed = faults.length - thrown.length;
  return `${plan.seed} ${verdict} ${seconds.toFixed(1)} s, ${plan.habits}, ${acknowledged} writes: ${thrown.join(', ') || 'nothing'}${missed > 0 ? `; ${missed} too late` : ''}`;
}
