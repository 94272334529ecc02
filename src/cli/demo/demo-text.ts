import { relative } from 'node:path';
import type { RecallResult } from '../../search/recall.ts';
import type { SearchIndex } from '../../search/search-side.ts';
import { bytes, count, shorten } from '../text.ts';
import type { DemoSearch, Snapshot } from './measure.ts';
import type { DemoResult, DemoStage } from './run-demo.ts';

/** How words are emphasised; plain text where the output is no terminal. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
}

export const PLAIN: Style = { bold: (text) => text, dim: (text) => text };
export const TERMINAL: Style = {
  bold: (text) => `\u001b[1m${text}\u001b[22m`,
  dim: (text) => `\u001b[2m${text}\u001b[22m`,
};

const SHOWN_HITS = 3;
const TITLE_WIDTH = 52;
const TEXT_WIDTH = 44;

/** What to print when a stage is reached. */
export function stageText(stage: DemoStage, style: Style): string {
  switch (stage.kind) {
    case 'loaded':
      return [
        style.bold('A table with the vectors of an older model'),
        `  ${count(stage.passages, 'passage')} of the PostgreSQL manual and their vectors, loaded in ${seconds(stage.seconds)}`,
        `  ${stage.server}, embedded in this process`,
        '',
      ].join('\n');
    case 'before':
      return searchesText('Three searches before', stage.snapshot, style);
    case 'migrating':
      return style.bold(`Migration ${stage.number} of ${stage.of}: ${stage.name}`);
    case 'migrated':
      return `  done in ${seconds(stage.seconds)}\n`;
    case 'after':
      return searchesText('The same searches after', stage.snapshot, style);
  }
}

function searchesText(heading: string, snapshot: Snapshot, style: Style): string {
  const model = `${snapshot.model}, ${snapshot.dimensions} dimensions`;
  return [
    `${style.bold(heading)} ${style.dim(`(${model})`)}`,
    ...snapshot.searches.flatMap((search) => searchLines(search, style)),
    '',
  ].join('\n');
}

function searchLines(search: DemoSearch, style: Style): string[] {
  const where = search.rank === undefined ? 'not among the first 10' : `found at ${search.rank}`;
  const hits = search.hits.slice(0, SHOWN_HITS).map((hit, i) => {
    const mark = hit.wanted ? '*' : ' ';
    const title = shorten(hit.title, TITLE_WIDTH).padEnd(TITLE_WIDTH);
    const line = `   ${mark}${i + 1}  ${hit.score.toFixed(2)}  ${title}`;
    return `${hit.wanted ? style.bold(line) : line}  ${style.dim(shorten(hit.text, TEXT_WIDTH))}`;
  });
  return [`  "${search.query}" ${style.dim(`(its passage: ${where})`)}`, ...hits];
}

/** The comparison at the end, all of it measured on the table. */
export function resultText(result: DemoResult, style: Style): string {
  const { before, after } = result;
  const rows: (readonly [string, string, string])[] = [
    ['', 'before', 'after'],
    ['model', before.model, after.model],
    ['dimensions', String(before.dimensions), String(after.dimensions)],
    ['Recall@10, every vector compared', recall(before.exact), recall(after.exact)],
    ['Recall@10, through the index', recall(before.throughIndex), recall(after.throughIndex)],
    ['the index', indexText(before.index), indexText(after.index)],
    ['vectors', bytes(before.vectorBytes), bytes(after.vectorBytes)],
    ['index', bytes(before.indexBytes), bytes(after.indexBytes)],
  ];
  const times = result.migrations.map(({ name, seconds: taken }) => `${name.slice(0, 3)} ${seconds(taken)}`).join(', ');
  return [
    style.bold('What it brought'),
    ...table(rows, style),
    '',
    ...(after.kept === undefined
      ? []
      : [
          `  The older vectors stay as "${after.kept.column}" (${bytes(after.kept.bytes)}) until "reembed finalize": the swap can be undone.`,
        ]),
    `  Recall@10: the share of a title's own passages among the first 10 hits, mean over ${count(before.exact.queries, 'title')}.`,
    `  The whole demo took ${seconds(result.seconds)}; the migrations ${times}.`,
    '',
  ].join('\n');
}

/** Commands that go on with what the demo left. */
export function nextStepsText(environment: Readonly<Record<string, string>>, cwd: string, style: Style): string {
  const exported = Object.entries(environment).map(([name, value]) => `${name}=${relativePath(value, cwd)}`);
  return [
    style.bold('Where to go next'),
    '  The database is still there. To look around in it:',
    `    export ${exported.join(' \\\n           ')}`,
    '    npx reembed status                          where the migration stands, row by row',
    '    npx reembed search "how to cancel a query"  search it yourself',
    '    npx reembed verify                          recount everything, embed 200 rows again, compare',
    '    npx knex migrate:down                       exchange the columns back: the old one was kept',
    '  On your own table: set DATABASE_URL, name your table in reembed.config.ts, then',
    '    npx reembed doctor && npx knex migrate:latest',
    '  README.md explains the three migrations, docs/ each task.',
  ].join('\n');
}

function relativePath(value: string, cwd: string): string {
  const inside = value.startsWith(cwd) ? relative(cwd, value) : value;
  return inside.includes(' ') ? `'${inside}'` : inside;
}

function table(rows: readonly (readonly [string, string, string])[], style: Style): string[] {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row, i) => {
    const line = `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('   ')}`.trimEnd();
    return i === 0 ? style.dim(line) : line;
  });
}

function recall(result: RecallResult): string {
  return result.recall.toFixed(2);
}

function indexText(index: SearchIndex | undefined): string {
  if (index === undefined) return 'none';
  if (index.kind === 'hnsw') return `hnsw, ef_search ${index.efSearch}`;
  return `ivfflat, ${index.lists} lists, ${index.probes} probes`;
}

function seconds(value: number): string {
  return value < 60 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}
