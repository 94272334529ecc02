import { readTable } from '../db/catalog.ts';
import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import { ConfigError, messageOf } from '../errors.ts';
import { textArrayLiteral } from '../sql/array-literal.ts';
import { type ComparedColumn, columnItemSql, findKeysSql, firstSentenceSql, knownItemsSql } from '../sql/evaluation.ts';
import type { MigrationContext } from '../state/context.ts';
import { seededRandom } from '../vector/random.ts';
import { readQueries } from './queries/read-queries.ts';
import { type EvaluationQuery, type GradedKey, keyId, type LabelledQuery } from './queries/types.ts';
import type { QueryCounts } from './types.ts';

/** Where queries come from: a file, a column that is asked for its own rows (`text`: the first sentence of the text), or the caller. */
export type QuerySource =
  | { readonly file: string }
  | { readonly knownItem: string }
  | { readonly queries: readonly EvaluationQuery[] };

export interface LoadedQueries {
  readonly queries: readonly LabelledQuery[];
  readonly counts: QueryCounts;
}

export interface LoadOptions {
  /** Queries at most; all of a file, 500 known items unless said. */
  readonly sample: number | undefined;
  readonly seed: number;
}

const KNOWN_ITEMS = 500;
/** A value that more rows share is a category, not an item. */
const MAX_SHARED = 10;
const NOTHING_LEFT_OUT = { repeated: 0, withoutRow: 0, unknownKeys: 0, ambiguous: 0 };

/**
 * The queries with the keys as the table writes them. Relevant rows without a vector on some side are taken out, and queries that lose
 * all of theirs are left out, so that no side is blamed for what the other could not find either.
 *
 * @throws ConfigError as `readQueries`; `known_item_unknown`, `no_known_items`, `keys_invalid`
 */
export async function loadQueries(
  ctx: MigrationContext,
  source: QuerySource,
  columns: readonly [ComparedColumn, ...ComparedColumn[]],
  options: LoadOptions,
): Promise<LoadedQueries> {
  if ('knownItem' in source) return loadKnownItems(ctx, source.knownItem, columns, options);
  const isFile = 'file' in source;
  const found = isFile ? await readQueries(source.file, columns[0].target.key.length) : source.queries;
  const distinct = [...new Map(found.map((each) => [JSON.stringify(each), each])).values()];
  const drawn = drawQueries(distinct, options);
  const { queries, unknownKeys } = await labelQueries(ctx, drawn, columns);
  return {
    queries,
    counts: {
      ...NOTHING_LEFT_OUT,
      source: nameOfSource(source, columns[0].target),
      found: found.length,
      repeated: found.length - distinct.length,
      used: queries.length,
      labelled: queries.filter(({ grades }) => grades !== undefined).length,
      withoutRow: drawn.length - queries.length,
      unknownKeys,
    },
  };
}

/** As the report names it. */
export function nameOfSource(source: QuerySource, target: Pick<ComparedColumn['target'], 'text'>): string {
  if ('file' in source) return source.file;
  if (!('knownItem' in source)) return 'queries of the caller';
  return asksForText(source.knownItem, target) ? 'first sentences of the text' : `known items of ${source.knownItem}`;
}

function asksForText(item: string, { text }: Pick<ComparedColumn['target'], 'text'>): boolean {
  return item === 'text' || item === text;
}

/** Every query with the same chance; the order of the file is kept. */
function drawQueries(all: readonly EvaluationQuery[], { sample, seed }: LoadOptions): readonly EvaluationQuery[] {
  if (sample === undefined || sample >= all.length) return all;
  const random = seededRandom(seed);
  const order = all.map((_, position) => ({ position, at: random() })).sort((a, b) => a.at - b.at);
  const chosen = new Set(order.slice(0, sample).map(({ position }) => position));
  return all.filter((_, position) => chosen.has(position));
}

async function labelQueries(
  ctx: MigrationContext,
  drawn: readonly EvaluationQuery[],
  columns: readonly ComparedColumn[],
): Promise<{ queries: LabelledQuery[]; unknownKeys: number }> {
  const keys = drawn.flatMap(({ relevant }) => relevant ?? []);
  const found = await findKeys(ctx, keys, columns);
  let next = 0;
  let unknownKeys = 0;
  const queries: LabelledQuery[] = [];
  for (const { query, relevant, slice } of drawn) {
    if (relevant === undefined) {
      queries.push({ query, slice, grades: undefined });
      continue;
    }
    const grades = new Map<string, number>();
    for (const { grade } of relevant) {
      const row = found.get(next++);
      if (row === undefined) unknownKeys++;
      else if (row.common) grades.set(row.id, grade);
    }
    if (grades.size > 0) queries.push({ query, slice, grades });
  }
  return { queries, unknownKeys };
}

const KEYS_A_STATEMENT = 5_000;

/** By position among the given keys. A position without a row has no entry. */
async function findKeys(
  ctx: MigrationContext,
  keys: readonly GradedKey[],
  columns: readonly ComparedColumn[],
): Promise<Map<number, { readonly id: string; readonly common: boolean }>> {
  const width = columns[0]?.target.key.length ?? 0;
  const found = new Map<number, { id: string; common: boolean }>();
  for (let start = 0; start < keys.length; start += KEYS_A_STATEMENT) {
    const part = keys.slice(start, start + KEYS_A_STATEMENT);
    const params = Array.from({ length: width }, (_, i) => textArrayLiteral(part.map(({ key }) => key[i] ?? null)));
    const { rows } = await askForKeys(ctx, columns, params);
    for (const row of rows) {
      found.set(start + row.n - 1, { id: rowId(row, width), common: row.common });
    }
  }
  return found;
}

type KeyRow = { n: number; common: boolean } & Record<string, unknown>;

async function askForKeys(ctx: MigrationContext, columns: readonly ComparedColumn[], params: readonly string[]) {
  try {
    return await ctx.db.query<KeyRow>(findKeysSql(columns), params);
  } catch (cause) {
    if (sqlStateOf(cause)?.startsWith(SQLSTATE.dataException.slice(0, 2)) !== true) throw cause;
    const types = columns[0]?.target.key.map(({ name, type }) => `${name} ${type}`).join(', ');
    throw new ConfigError(
      'keys_invalid',
      `A relevant key is no value of the table's key (${types}): ${messageOf(cause)}.`,
      {
        step: 'inspect',
        hint: 'Name the relevant rows by their primary key; docs/evaluate.md shows how.',
        cause,
      },
    );
  }
}

function rowId(row: Readonly<Record<string, unknown>>, width: number): string {
  return keyId(Array.from({ length: width }, (_, i) => String(row[`k${i}`])));
}

async function loadKnownItems(
  ctx: MigrationContext,
  item: string,
  columns: readonly [ComparedColumn, ...ComparedColumn[]],
  { sample = KNOWN_ITEMS, seed }: LoadOptions,
): Promise<LoadedQueries> {
  const { target } = columns[0];
  const sql = await knownItemSql(ctx, target, item);
  const { rows } = await ctx.db.query<{ query: string; left_out: number } & Record<string, unknown>>(
    knownItemsSql(columns, sql),
    [String(seed), sample, MAX_SHARED],
  );
  const items = new Map<string, Map<string, number>>();
  for (const row of rows) {
    const grades = items.get(row.query) ?? new Map<string, number>();
    items.set(row.query, grades.set(rowId(row, target.key.length), 1));
  }
  const ambiguous = rows[0]?.left_out ?? 0;
  if (items.size === 0) throw noItems(target.table, item);
  const queries = [...items].map(([query, grades]) => ({ query, grades }));
  const source = nameOfSource({ knownItem: item }, target);
  const counts = { found: items.size, used: items.size, labelled: items.size };
  return { queries, counts: { ...NOTHING_LEFT_OUT, ...counts, source, ambiguous } };
}

/** SQL over `t`: what is asked for a row. @throws ConfigError `known_item_unknown` */
export async function knownItemSql(
  ctx: MigrationContext,
  target: ComparedColumn['target'],
  item: string,
): Promise<string> {
  return asksForText(item, target) ? firstSentenceSql(target) : columnItemSql(await existingColumn(ctx, target, item));
}

async function existingColumn(ctx: MigrationContext, target: ComparedColumn['target'], item: string): Promise<string> {
  const { columns } = await readTable(ctx.db, { schema: target.schema, name: target.table });
  if (columns.some(({ name }) => name === item)) return item;
  const names = columns.map(({ name }) => name).join(', ');
  throw new ConfigError(
    'known_item_unknown',
    `${target.schema}.${target.table} has no column "${item}" to ask for; its columns are ${names}.`,
    {
      step: 'inspect',
      hint: 'Name one of them with --known-item (or REEMBED_KNOWN_ITEM), or "text" for first sentences.',
    },
  );
}

function noItems(table: string, item: string): ConfigError {
  return new ConfigError(
    'no_known_items',
    `No row of ${table} can be asked for by ${item}: expected is text that at most ${MAX_SHARED} rows with both vectors share.`,
    { step: 'inspect', hint: 'Name another column with --known-item, or a file of queries with --queries.' },
  );
}
