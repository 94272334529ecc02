import { number } from '../amounts.ts';
import type { CurvePoint } from '../search/tuning/choose-setting.ts';
import type { TuneResult } from '../steps/tune.ts';
import type { RebuildResult } from '../steps/tune-rebuild.ts';
import { textTable } from './text-table.ts';

const KIND = { ivfflat: 'IVFFlat', hnsw: 'HNSW' } as const;
const SETTING = { ivfflat: 'probes', hnsw: 'ef_search' } as const;

/** A curve as a table, and what follows from it. */
export function tuneReport(result: TuneResult): string {
  const { index, table, column, rows, k, queries } = result;
  const options = Object.entries(index.options).map(([name, value]) => `, ${name} ${value}`);
  const source =
    queries.source === 'file'
      ? `${number(queries.count)} queries of the file`
      : `${number(queries.count)} vectors near those of random rows, without these (--queries takes real questions)`;
  return [
    `${index.name} (${KIND[index.kind]}${options.join('')}) on ${table}.${column}, ${number(rows)} rows.`,
    `Searched for: ${source}; recall@${k} against exact search.`,
    '',
    curveTable(result),
    '',
    ...conclusion(result),
  ].join('\n');
}

/** What was done to an index. */
export function rebuildReport({ index, kind, options, seconds, finishedEarlier }: RebuildResult): string {
  const how = Object.entries(options).map(([name, value]) => `${name} ${value}`);
  const done = finishedEarlier ? 'had been built by an interrupted run' : `was built anew in ${seconds.toFixed(1)} s`;
  return `${index} (${[KIND[kind], ...how].join(', ')}) ${done}.`;
}

function curveTable({ curve, index, k, chosen, present }: TuneResult): string {
  const head = [SETTING[index.kind], `recall@${k}`, '95% interval', 'p50 ms', 'p95 ms', ''];
  const lines = curve.map((point) => [
    String(point.setting),
    point.recall.mean.toFixed(3),
    `${point.recall.low.toFixed(3)}–${point.recall.high.toFixed(3)}`,
    milliseconds(point.p50Ms),
    milliseconds(point.p95Ms),
    remark(point, chosen, present),
  ]);
  return textTable(head, lines);
}

function remark(point: CurvePoint, chosen: CurvePoint | null, present: CurvePoint): string {
  const remarks = [
    ...(point.setting === chosen?.setting ? ['reaches it'] : []),
    ...(point.setting === present.setting ? ['until now'] : []),
  ];
  return remarks.length === 0 ? '' : `<- ${remarks.join(', ')}`;
}

function conclusion(result: TuneResult): string[] {
  const { chosen, present, index, target, k, stored } = result;
  const name = SETTING[index.kind];
  if (chosen === null) return unreached(result);
  const gap = `${name} ${present.setting} until now: recall ${present.recall.mean.toFixed(3)} in ${milliseconds(present.p50Ms)} ms`;
  const found = `recall ${chosen.recall.mean.toFixed(3)} in ${milliseconds(chosen.p50Ms)} ms (p50)`;
  return [
    `${name} ${chosen.setting} is the smallest whose recall@${k} is ${target} or more, by the lower end of its interval: ${found}.`,
    ...(chosen.setting === present.setting ? [] : [`${gap}.`]),
    stored
      ? "Stored: reembed's searches use it from now on."
      : 'Not stored (--dry-run, or no state before 005): nothing was changed.',
    `With SQL of your own: SET LOCAL ${index.kind === 'ivfflat' ? 'ivfflat.probes' : 'hnsw.ef_search'} = ${chosen.setting};`,
  ];
}

/** What would reach it, where no setting does. */
function unreached({ curve, index, target, k, queries }: TuneResult): string[] {
  const best = curve.reduce((a, b) => (b.recall.low > a.recall.low ? b : a));
  const { mean, low } = best.recall;
  const lines = [
    `No setting reaches recall@${k} ${target}: the best is ${SETTING[index.kind]} ${best.setting} with ${mean.toFixed(3)}, ${low.toFixed(3)} by the lower end of its interval.`,
  ];
  if (mean >= target) lines.push(`Its mean does: more queries than ${queries.count} may show it (--query-count).`);
  else if (index.kind === 'hnsw') {
    const { m = '16', ef_construction: construction = '64' } = index.options;
    lines.push(
      `A graph built with more effort would: "reembed tune --rebuild --m ${Math.min(100, 2 * Number(m))} --ef-construction ${Math.min(1000, 4 * Number(construction))}".`,
    );
  }
  return lines;
}

function milliseconds(value: number): string {
  return value < 10 ? value.toFixed(2) : value.toFixed(1);
}
