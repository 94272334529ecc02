import { readTable } from '../db/catalog.ts';
import type { TableInfo } from '../db/catalog-types.ts';
import { PreflightError } from '../errors.ts';
import { retryAfterSwap } from '../search/active-model.ts';
import { queryVectors } from '../search/search.ts';
import { readSearchSide, type SearchSide } from '../search/search-side.ts';
import { type CurvePoint, smallestReaching } from '../search/tuning/choose-setting.ts';
import {
  type CurveJob,
  exactAnswers,
  type IndexedSide,
  measureCurve,
  presentSetting,
} from '../search/tuning/measure-curve.ts';
import { readQueryTexts, sampleQueryVectors, type TuningQuery } from '../search/tuning/tuning-queries.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { parseIndexDefinition } from '../sql/index-definition.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { findRecord } from '../state/resolve.ts';
import { stateExists } from '../state/schema.ts';
import { saveTuned, type TunedSetting } from '../state/search-settings.ts';
import { upgradeState } from '../state/state-version.ts';
import { lazyProvider } from './provider.ts';

export interface TuneOptions {
  /** Recall@k that the recommendation reaches with the lower end of its 95% interval (0.95). */
  readonly recall?: number | undefined;
  /** Hits that count (10). */
  readonly k?: number | undefined;
  /** A file of queries, embedded by the side's model; vectors near those of random rows are searched for without one. */
  readonly queries?: string | undefined;
  /** Queries at most (200). */
  readonly queryCount?: number | undefined;
  readonly side?: 'active' | 'old' | 'new' | undefined;
  /** Only measures. */
  readonly dryRun?: boolean | undefined;
  /** Draws the rows (1). */
  readonly seed?: number | undefined;
}

/** What `reembed tune` prints with `--json`. */
export interface TuneResult {
  readonly step: 'tune';
  readonly migration: string;
  readonly table: string;
  readonly column: string;
  readonly side: 'old' | 'new';
  readonly index: {
    readonly name: string;
    readonly kind: 'ivfflat' | 'hnsw';
    readonly options: Readonly<Record<string, string>>;
  };
  /** Rows with a vector; the planner's estimate above a million. */
  readonly rows: number;
  readonly k: number;
  readonly target: number;
  /** `file`: embedded texts; `rows`: vectors near those of random rows, these left out. */
  readonly queries: { readonly source: 'file' | 'rows'; readonly count: number };
  /** By setting, smallest first. */
  readonly curve: readonly CurvePoint[];
  /** The smallest that reaches the target; null when none does. */
  readonly chosen: CurvePoint | null;
  /** What a search of reembed had until now. */
  readonly present: CurvePoint;
  /** Whether searches use the chosen setting from now on. */
  readonly stored: boolean;
}

const COUNT_EXACTLY_BELOW = 1_000_000;

/**
 * Measures recall and latency of a side's index over its setting, against exact search, and keeps the smallest setting that reaches the
 * target in the state, where `searchTable` finds it. Reads only, but for that row.
 *
 * @throws PreflightError `no_index`, `too_few_rows`, `index_changed`, `not_expanded`, `old_column_gone`; ConfigError for the file of queries
 */
export async function tune(ctx: MigrationContext, options: TuneOptions = {}): Promise<TuneResult> {
  const { recall: target = 0.95, k = 10, side: wanted = 'active' } = options;
  const side = await readIndexedSide(ctx, wanted);
  const table = await readTable(ctx.db, { schema: side.target.schema, name: side.target.table });
  const queries = await readQueries(ctx, side, options, k);
  const rows = await countVectors(ctx, side.target);
  const job: CurveJob = { side, queries, k, target };
  const curve = await measureCurve(ctx, job, await exactAnswers(ctx, job));
  const chosen = smallestReaching(curve, target) ?? null;
  const present = curve.find(({ setting }) => setting === presentSetting(side.index, k));
  if (present === undefined) throw new Error('the present setting was not measured');
  const result = {
    step: 'tune',
    migration: ctx.definition.id,
    table: `${side.target.schema}.${side.target.table}`,
    column: side.target.column,
    side: side.side,
    index: { name: side.index.name, kind: side.index.kind, options: optionsOf(table, side.index.name) },
    rows,
    k,
    target,
    queries: { source: options.queries === undefined ? 'rows' : 'file', count: queries.length },
    curve,
    chosen,
    present,
  } as const;
  const stored = chosen !== null && options.dryRun !== true && (await store(ctx, wanted, result, chosen));
  return { ...result, stored };
}

/** @throws PreflightError `no_index` */
export async function readIndexedSide(ctx: MigrationContext, wanted: 'active' | 'old' | 'new'): Promise<IndexedSide> {
  const side = await readSearchSide(ctx, wanted);
  if (side.index !== undefined) return { ...side, index: side.index };
  const { schema, table, column } = side.target;
  throw new PreflightError(
    'no_index',
    `${schema}.${table}.${column} has no valid index over all of its vectors, so there is nothing to tune.`,
    {
      step: 'tune',
      hint:
        side.side === 'new' && side.active === 'old'
          ? 'The swap (007) builds the indexes of the new column; tune after it.'
          : 'Run "reembed tune --build" to see which index would do, and create it with CREATE INDEX CONCURRENTLY.',
    },
  );
}

async function readQueries(
  ctx: MigrationContext,
  side: IndexedSide,
  options: TuneOptions,
  k: number,
): Promise<TuningQuery[]> {
  const { queries: file, queryCount = 200, seed = 1 } = options;
  if (file !== undefined) return embedQueries(ctx, side, await readQueryTexts(file, queryCount));
  const sampled = await sampleQueryVectors(ctx.db, side.target, queryCount, seed);
  if (sampled.length >= Math.min(queryCount, 2 * k)) return sampled;
  throw tooFewRows(side.target, sampled.length, k);
}

export function tooFewRows({ schema, table, column }: VectorTarget, rows: number, k: number): PreflightError {
  return new PreflightError(
    'too_few_rows',
    `${schema}.${table} has ${rows} rows with a vector in "${column}", at least ${2 * k} are needed to tell recall@${k}.`,
    { step: 'tune', hint: 'A table of that size is searched exactly in no time: drop the index, or wait for rows.' },
  );
}

/** Texts as queries of a side's model. */
export async function embedQueries(
  ctx: MigrationContext,
  side: SearchSide,
  texts: readonly string[],
): Promise<TuningQuery[]> {
  const { definition } = ctx;
  const created = lazyProvider(ctx, definition);
  const old = definition.from === undefined ? undefined : lazyProvider(ctx, definition.from);
  try {
    const providers = { new: () => created.get(), old: old && (() => old.get()) };
    const vectors = await queryVectors(texts, side, providers, ctx.signal);
    return vectors.map((vector) => ({ vector, own: undefined }));
  } finally {
    await created.close();
    await old?.close();
  }
}

/** Rows with a vector; the planner's estimate above a million. */
export async function countVectors(ctx: MigrationContext, target: VectorTarget): Promise<number> {
  const { estimatedRows } = await readTable(ctx.db, { schema: target.schema, name: target.table });
  if (estimatedRows > COUNT_EXACTLY_BELOW) return Math.round(estimatedRows);
  const { rows } = await ctx.db.query<{ count: number }>(
    `SELECT pg_catalog.count(*)::float8 AS count FROM ${tableSql(target)} WHERE ${quoteIdentifier(target.column)} IS NOT NULL`,
  );
  return rows[0]?.count ?? 0;
}

function optionsOf(table: TableInfo, name: string): Readonly<Record<string, string>> {
  const found = table.indexes.find((index) => index.name === name);
  return found === undefined ? {} : parseIndexDefinition(found.definition).options;
}

/** @returns false before 005, when there is nowhere to keep it */
async function store(
  ctx: MigrationContext,
  wanted: 'active' | 'old' | 'new',
  result: Omit<TuneResult, 'stored'>,
  chosen: CurvePoint,
): Promise<boolean> {
  const { stateSchema } = ctx.runtime;
  if (!(await stateExists(ctx.db, stateSchema))) return false;
  await upgradeState(ctx, 'tune');
  if ((await findRecord(ctx)) === undefined) return false;
  await refuseOtherIndex(ctx, wanted, result);
  const { side, index, k, target, rows, queries } = result;
  const tuned: TunedSetting = {
    side,
    kind: index.kind,
    options: index.options,
    setting: chosen.setting,
    k,
    target,
    recall: chosen.recall.mean,
    low: chosen.recall.low,
    high: chosen.recall.high,
    p50Ms: chosen.p50Ms,
    p95Ms: chosen.p95Ms,
    queries: queries.count,
    rows,
    at: new Date().toISOString(),
  };
  await saveTuned(ctx.db, stateSchema, ctx.definition.id, index.name, tuned);
  const { setting } = chosen;
  await recordEvent(ctx.db, stateSchema, ctx.definition.id, 'tuned', {
    index: index.name,
    setting,
    recall: tuned.recall,
  });
  return true;
}

/** A swap or a rebuild in the middle would make what was measured that of another index. */
async function refuseOtherIndex(
  ctx: MigrationContext,
  wanted: 'active' | 'old' | 'new',
  result: Omit<TuneResult, 'stored'>,
): Promise<void> {
  const now = await retryAfterSwap(() => readIndexedSide(ctx, wanted));
  const table = await readTable(ctx.db, { schema: now.target.schema, name: now.target.table });
  const options = optionsOf(table, now.index.name);
  const same =
    now.side === result.side &&
    now.index.name === result.index.name &&
    JSON.stringify(options) === JSON.stringify(result.index.options);
  if (same) return;
  throw new PreflightError(
    'index_changed',
    `The index ${result.index.name} was exchanged for another one while it was measured.`,
    { step: 'tune', hint: 'Run the same command again.' },
  );
}
