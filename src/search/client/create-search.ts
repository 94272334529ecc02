import { SQLSTATE, sqlStateOf } from '../../db/sqlstate.ts';
import { DatabaseError } from '../../errors.ts';
import type { SqlFragment } from '../../sql/filter.ts';
import { metSwap, stateDenied, type TransactionSource } from '../active-model.ts';
import { openKeyword } from '../keyword/open-keyword.ts';
import type { KeywordSearch } from '../keyword/types.ts';
import { createShadow } from '../shadow/create-shadow.ts';
import type { Shadow, ShadowSettings } from '../shadow/types.ts';
import { combine } from './combine.ts';
import { compileFilter, filterFailed } from './compile-filter.ts';
import { readLayout, type SearchLayout } from './layout.ts';
import { LayoutCache } from './layout-cache.ts';
import { planSearch, type SearchPlan } from './plan-search.ts';
import { QueryEncoder } from './query-encoder.ts';
import { type Lists, readLists, sideOf } from './read-lists.ts';
import { rerankHits } from './rerank-hits.ts';
import { routeBucket } from './route-bucket.ts';
import type {
  AskedSource,
  Encoder,
  KnexTransactions,
  QueryOptions,
  SearchAnswer,
  SearchClient,
  SearchClientOptions,
  Served,
  Side,
} from './types.ts';

const LIMIT = 10;
const RERANKED = 200;
const RETURNED = 20;
const CACHED_QUERIES = 1_000;
/** A swap changes what a request knows once, or twice when its index is named just before. */
const ATTEMPTS = 4;
/** Rankings that are fused are read deeper than what is returned: a row is often far down in one of them. */
const FUSED = { factor: 4, most: 100 } as const;

/**
 * A search that follows a migration: before 005, through the backfill, across the swap and back. It reads the state in the statement that
 * reads the vectors, so that no answer mixes the sides of a swap, and asks again when it met one.
 *
 * @param db `transactionsOf(pool)`, `transactionsOfKnex(knex)`, or reembed's own Database
 */
export function createSearch<Builder = never>(
  db: TransactionSource | KnexTransactions<Builder>,
  options: SearchClientOptions,
): SearchClient<Builder> {
  const { migration, encoders, stateSchema = 'reembed' } = options;
  const layouts = new LayoutCache(() => readLayout(db, { definition: migration, runtime: { stateSchema } }));
  const size = options.cachedQueries ?? CACHED_QUERIES;
  const context: Context = {
    db,
    options,
    layouts,
    keyword: options.keyword ?? openKeyword({ migration, stateSchema }).search,
    encoders: { old: encoderOf(encoders.old, size), new: encoderOf(encoders.new, size) },
  };
  const shadow = options.shadow === undefined ? undefined : openShadow(context, options.shadow);
  return {
    query: async (text, request = {}) => {
      const filter = compileFilter(db, request.filter);
      return answer({ ...context, shadow }, { ...request, text, filter });
    },
    shadow,
  };
}

/** Asks as an application would, but is neither told of nor shadowed itself. */
function openShadow({ options, ...context }: Context, settings: ShadowSettings): Shadow {
  const quiet = { ...context, options: { ...options, onServed: undefined } };
  return createShadow({
    ...settings,
    migrationId: options.migration.id,
    db: context.db,
    stateSchema: options.stateSchema,
    ask: async (side, { query, limit, filter, reranked = false }) => {
      const request = { text: query, limit, filter, mode: side, rerank: reranked };
      const { hits, milliseconds } = await answer(quiet, request);
      return { keys: hits.map(({ key }) => key), milliseconds };
    },
  });
}

interface Context {
  readonly db: TransactionSource;
  readonly options: SearchClientOptions;
  readonly layouts: LayoutCache;
  readonly keyword: KeywordSearch;
  readonly encoders: Readonly<Record<Side, QueryEncoder | undefined>>;
  readonly shadow?: Shadow | undefined;
}

interface Request extends Omit<QueryOptions, 'filter'> {
  readonly text: string;
  readonly filter: SqlFragment | undefined;
}

function encoderOf(encoder: Encoder | undefined, size: number): QueryEncoder | undefined {
  return encoder === undefined ? undefined : new QueryEncoder(encoder, size);
}

async function answer(context: Context, request: Request): Promise<SearchAnswer> {
  const started = performance.now();
  const { options } = context;
  const { text, signal, filter } = request;
  const mode = request.mode ?? options.mode ?? 'active';
  const reranker = request.rerank === false ? undefined : options.reranker;
  const limit = request.limit ?? (reranker === undefined ? LIMIT : (options.rerank?.returnTopK ?? RETURNED));
  if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`limit is a whole number from 1, got ${limit}`);
  const wanted = reranker === undefined ? limit : Math.max(limit, options.rerank?.topK ?? RERANKED);
  const bucket = request.key === undefined ? Math.random() * 100 : routeBucket(options.migration.id, request.key);
  const asked = await untilSettled(context, filter, (layout) => {
    return ask(context, layout, planSearch(layout, mode, bucket, configured(context)), { ...request, limit: wanted });
  });
  const { batchSize } = options.rerank ?? {};
  const fused = combine(asked.plan, asked.lists, options, wanted);
  const ranked = reranker === undefined ? fused : await rerankHits(reranker, text, fused, { batchSize, signal });
  const hits = ranked.slice(0, limit);
  const milliseconds = performance.now() - started;
  const { served } = asked.plan;
  const keys = hits.map(({ key }) => key);
  tell(context, { side: served, query: text, limit, keys, milliseconds, filter, reranked: reranker !== undefined });
  return { hits, mode, served, asked: await describe(context, asked), milliseconds };
}

interface Asked {
  readonly plan: SearchPlan;
  readonly layout: SearchLayout;
  readonly lists: Lists;
}

async function ask(
  { db, keyword, encoders }: Context,
  layout: SearchLayout,
  plan: SearchPlan,
  { text, filter, signal, limit }: Request & { readonly limit: number },
): Promise<Asked> {
  const isFused = plan.served === 'both' || plan.keyword !== undefined;
  const depth = isFused ? Math.max(limit, Math.min(FUSED.factor * limit, FUSED.most)) : limit;
  // Before the transaction: nobody holds a connection while a model is at work.
  const vectors: { [side in Side]?: string } = {};
  await Promise.all(
    plan.sides.map(async (side) => {
      const { name, target, model } = sideOf(layout, side);
      const column = { side, name, dimensions: target.dimensions, model };
      const encoder = encoders[side];
      if (encoder !== undefined) vectors[side] = await encoder.encode(text, column, signal);
    }),
  );
  signal?.throwIfAborted();
  const request = { query: text, depth, filter, vectors, keyword, signal };
  return { plan, layout, lists: await db.transaction((tx) => readLists(tx, layout, plan, request)) };
}

/** Runs a request by the present layout, and again by a fresh one when it turns out that the migration has gone on. */
async function untilSettled(
  { layouts, options }: Context,
  filter: SqlFragment | undefined,
  run: (layout: SearchLayout) => Promise<Asked>,
): Promise<Asked> {
  let failedBy: string | undefined;
  for (let attempt = 1; ; attempt++) {
    const layout = await layouts.get();
    try {
      return await run(layout);
    } catch (error) {
      const cause = messageOfPostgres(error);
      // A statement that fails by a fresh layout as it did by the former one is not the swap's doing.
      const again = attempt < ATTEMPTS && isOutdated(error) && (cause === undefined || cause !== failedBy);
      if (!again) throw explained(error, options, filter, layout);
      failedBy = cause;
      await layouts.replace(layout);
    }
  }
}

/** The table or the extension may have been renamed or moved, the state dropped. */
const MOVED: ReadonlySet<string> = new Set([SQLSTATE.undefinedTable, SQLSTATE.invalidSchemaName, '42704', '42883']);

function isOutdated(error: unknown): boolean {
  return metSwap(error) || MOVED.has(sqlStateOf(error) ?? '');
}

function messageOfPostgres(error: unknown): string | undefined {
  const state = sqlStateOf(error);
  return state === undefined || !(error instanceof Error) ? undefined : `${state} ${error.message}`;
}

function explained(
  error: unknown,
  { stateSchema = 'reembed' }: SearchClientOptions,
  filter: SqlFragment | undefined,
  { sides, active }: SearchLayout,
): unknown {
  if (error instanceof DatabaseError) return error;
  if (sqlStateOf(error) === SQLSTATE.insufficientPrivilege) return stateDenied(stateSchema, error);
  const side = sides[active];
  return filterFailed(error, filter, 'target' in side ? `${side.target.schema}.${side.target.table}` : 'the table');
}

function configured({ encoders }: Context): Readonly<Record<Side, boolean>> {
  return { old: encoders.old !== undefined, new: encoders.new !== undefined };
}

async function describe({ encoders }: Context, { plan, layout }: Asked): Promise<AskedSource[]> {
  const sides = await Promise.all(
    plan.sides.map(async (source): Promise<AskedSource> => {
      const { target, index, model } = sideOf(layout, source);
      const name = (await encoders[source]?.modelName()) ?? (model === undefined ? undefined : String(model.name));
      return { source, column: target.column, model: name, index };
    }),
  );
  if (plan.keyword === undefined) return sides;
  return [...sides, { source: 'keyword', column: undefined, model: undefined, index: undefined }];
}

/** Whoever listens is not waited for, and cannot spoil an answer. */
function tell({ options: { onServed }, shadow }: Context, served: Served): void {
  shadow?.offer(served);
  if (onServed === undefined) return;
  void (async () => onServed(served))().catch(() => undefined);
}
