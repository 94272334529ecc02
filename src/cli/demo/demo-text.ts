import { relative } from 'node:path';
import type { RecallResult } from '../../search/recall.ts';
import type { SearchIndex } from '../../search/search-side.ts';
import { bytes, count, shorten } from '../text.ts';
import type { DemoSearch, Snapshot } from './measure.ts';
import type { DemoResult, DemoStage } from './run-demo.ts';

/** How words are emphasised, and how many fit in a line; plain text where the output is no terminal. */
export interface Style {
  readonly width: number;
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
}

const PLAIN_WIDTH = 100;

/** Bold and dim on a terminal that has them. */
export function styleOf(stream: NodeJS.WriteStream): Style {
  const width = Math.min(120, stream.columns ?? PLAIN_WIDTH);
  if (!stream.isTTY || !stream.hasColors()) return { width, bold: (text) => text, dim: (text) => text };
  return {
    width,
    bold: (text) => `\u001b[1m${text}\u001b[22m`,
    dim: (text) => `\u001b[2m${text}\u001b[22m`,
  };
}

const SHOWN_HITS = 3;
/** Mark, rank and score before a hit's title. */
const HIT_MARGIN = 13;
const TITLE_SHARE = 0.5;

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
  const titleWidth = Math.floor((style.width - HIT_MARGIN) * TITLE_SHARE);
  const textWidth = style.width - HIT_MARGIN - titleWidth - 2;
  const hits = search.hits.slice(0, SHOWN_HITS).map((hit, i) => {
    const title = shorten(hit.title, titleWidth).padEnd(titleWidth);
    const line = `   ${hit.wanted ? '*' : ' '}${i + 1}  ${hit.score.toFixed(2)}  ${title}`;
    return `${hit.wanted ? style.bold(line) : line}  ${style.dim(shorten(hit.text, textWidth))}`;
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
    ['Recall@10, exact', recall(before.exact), recall(after.exact)],
    ['Recall@10, index', recall(before.throughIndex), recall(after.throughIndex)],
    ['index', indexText(before.index), indexText(after.index)],
    ['  searched with', settingsText(before.index), settingsText(after.index)],
    ['  size', bytes(before.indexBytes), bytes(after.indexBytes)],
    ['vectors', bytes(before.vectorBytes), bytes(after.vectorBytes)],
  ];
  const times = result.migrations.map(({ name, seconds: taken }) => `${name.slice(0, 3)} ${seconds(taken)}`).join(', ');
  return [
    style.bold('What it brought'),
    ...table(rows, style),
    '',
    `  Recall@10: the share of a title's passages among the first 10 hits, over ${count(before.exact.queries, 'title')}.`,
    ...keptLines(after.kept),
    `  The whole demo took ${seconds(result.seconds)}; the migrations ${times}.`,
    '',
  ].join('\n');
}

function keptLines(kept: Snapshot['kept']): string[] {
  if (kept === undefined) return [];
  return [`  The older vectors stay in "${kept.column}" (${bytes(kept.bytes)}) until "reembed finalize".`];
}

/** How the demo runs, not what it works on. */
const NOT_FOR_LOOKING: ReadonlySet<string> = new Set(['REEMBED_BACKUP', 'REEMBED_BATCH_ROWS']);

/** Commands that go on with what the demo left. */
export function nextStepsText(environment: Readonly<Record<string, string>>, cwd: string, style: Style): string {
  const needed = Object.entries(environment).filter(([name]) => !NOT_FOR_LOOKING.has(name));
  const exported = needed.map(([name, value]) => `${name}=${relativePath(value, cwd)}`);
  return [
    style.bold('Where to go next'),
    '  The database is still there. To look around in it:',
    `    export ${exported.join(' \\\n           ')}`,
    '    npx reembed status                         where the migration stands',
    '    npx reembed search "undo a transaction"    search it yourself',
    '    npx reembed verify                         embed 200 rows again and compare',
    '    npx knex migrate:down                      exchange the columns back',
    '  For your own table, in a new shell: set DATABASE_URL and reembed.config.ts, then',
    '    npx reembed doctor && npx knex migrate:latest',
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
  return index.lists === undefined ? index.kind : `${index.kind}, ${count(index.lists, 'list')}`;
}

function settingsText(index: SearchIndex | undefined): string {
  if (index === undefined) return '-';
  return index.probes === undefined ? `ef_search ${index.efSearch}` : count(index.probes, 'probe');
}

function seconds(value: number): string {
  return value < 60 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}
