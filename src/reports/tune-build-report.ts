import { bytes, number } from '../amounts.ts';
import type { TriedIndex, TuneBuildResult } from '../steps/tune-build.ts';
import { textTable } from './text-table.ts';

/** The candidates beside each other, and how far the sample tells of the table. */
export function tuneBuildReport(result: TuneBuildResult): string {
  const { table, column, rows, sampleRows, k, target, queries, tried } = result;
  const source = queries.source === 'file' ? 'queries of the file' : 'vectors near those of random rows, without these';
  const head = [
    'index',
    'built with',
    'build s',
    'size',
    'of all rows',
    'searched with',
    `recall@${k}`,
    'p50 ms',
    'p95 ms',
    'from',
  ];
  return [
    `Tried on ${number(sampleRows)} of the ${number(rows)} rows of ${table}.${column}; ${number(queries.count)} ${source}.`,
    `The smallest setting of each that reaches recall@${k} ${target} by the lower end of its 95% interval:`,
    '',
    textTable(head, tried.map(line)),
    '',
    ...(sampleRows < rows ? extrapolation(result) : []),
    `Nothing was changed. An index that exists is built anew with "reembed tune --rebuild --lists N" (or --m, --ef-construction).`,
  ].join('\n');
}

function line(tried: TriedIndex): string[] {
  const { kind, candidate, options, seconds, chosen, curve } = tried;
  const setting = kind === 'ivfflat' ? 'probes' : 'ef_search';
  const lists = options.lists === undefined ? '' : `${options.lists} lists`;
  const best = chosen ?? curve.at(-1);
  return [
    kind,
    lists === '' ? candidate.replace('ef_construction', 'ef_c') : lists,
    seconds.toFixed(1),
    bytes(tried.bytes),
    bytes(tried.wholeBytes),
    best === undefined ? '' : `${setting} ${best.setting}`,
    best === undefined ? '' : best.recall.mean.toFixed(3),
    best === undefined ? '' : best.p50Ms.toFixed(2),
    best === undefined ? '' : best.p95Ms.toFixed(2),
    `${kind === 'ivfflat' ? candidate : ''}${chosen === null ? ' does not reach it' : ''}`.trim(),
  ];
}

/** What grows with the rows, and what does not. */
function extrapolation({ rows, tried }: TuneBuildResult): string[] {
  const lists = tried.filter(({ kind }) => kind === 'ivfflat');
  return [
    `On all ${number(rows)} rows: lists grow with the rows (${lists.map(({ candidate, wholeOptions }) => `${candidate}: ${wholeOptions.lists}`).join(', ')}), and probes with the lists;`,
    'm and ef_construction do not, ef_search a little. Sizes are in proportion to the rows.',
    'Recall and latency of the whole are not foretold: build one, then run "reembed tune".',
  ];
}
