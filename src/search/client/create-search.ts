import type { SqlFragment } from '../../sql/filter.ts';
import type { TransactionSource } from '../active-model.ts';
import { openKeyword } from '../keyword/open-keyword.ts';
import type { KeywordSearch } from '../keyword/types.ts';
import { combine } from './combine.ts';
import { compileFilter } from './compile-filter.ts';
import { encodeQuery } from './encode-query.ts';
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
  Side,
} from './types.ts';
import { untilSettled } from './until-settled.ts';

const LIMIT = 10;
const RERANKED = 200;
const RETURNED = 20;
const CACHED_QUERIES = 1_000;
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
  return {
    query: async (text, request = {}) => {
      const filter = compileFilter(db, request.filter);
      return answer(context, { ...request, text, filter });
    },
  };
}

interface Context {
  readonly db: TransactionSource;
  readonly options: SearchClientOptions;
  readonly layouts: LayoutCache;
  readonly keyword: KeywordSearch;
  readonly encoders: Readonly<Record<Side, QueryEncoder | undefined>>;
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
  const { stateSchema = 'reembed' } = options;
  const { text, signal, filter } = request;
  const mode = request.mode ?? options.mode ?? 'active';
  const reranker = request.rerank === false ? undefined : options.reranker;
  const limit = request.limit ?? (reranker === undefined ? LIMIT : (options.rerank?.returnTopK ?? RETURNED));
  if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`limit is a whole number from 1, got ${limit}`);
  const wanted = reranker === undefined ? limit : Math.max(limit, options.rerank?.topK ?? RERANKED);
  const bucket = request.key === undefined ? Math.random() * 100 : routeBucket(options.migration.id, request.key);
  const asked = await untilSettled(context.layouts, { stateSchema, filter }, (layout) => {
    return ask(context, layout, planSearch(layout, mode, bucket, configured(context)), { ...request, limit: wanted });
  });
  const { batchSize } = options.rerank ?? {};
  const fused = combine(asked.plan, asked.lists, options, wanted);
  const ranked = reranker === undefined ? fused : await rerankHits(reranker, text, fused, { batchSize, signal });
  const hits = ranked.slice(0, limit);
  const milliseconds = performance.now() - started;
  const { served } = asked.plan;
  tell(options, { side: served, query: text, limit, keys: hits.map(({ key }) => key), milliseconds, filter });
  return { hits, mode, served, asked: await describe(context, asked), failure: asked.failure, milliseconds };
}

interface Asked {
  readonly plan: SearchPlan;
  readonly layout: SearchLayout;
  readonly lists: Lists;
  readonly failure: string | undefined;
}

async function ask(
  { db, keyword, encoders }: Context,
  layout: SearchLayout,
  planned: SearchPlan,
  request: Request & { readonly limit: number },
): Promise<Asked> {
  const { text, filter, signal, limit } = request;
  // Before the transaction: nobody holds a connection while a model is at work.
  const { plan, vectors, failure } = await encodeQuery(text, encoders, layout, planned, signal);
  signal?.throwIfAborted();
  const isFused = plan.served === 'both' || plan.keyword !== undefined;
  const depth = isFused ? Math.max(limit, Math.min(FUSED.factor * limit, FUSED.most)) : limit;
  const wanted = { query: text, depth, filter, vectors, keyword, signal };
  return { plan, layout, lists: await db.transaction((tx) => readLists(tx, layout, plan, wanted)), failure };
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
function tell(
  { onServed }: SearchClientOptions,
  served: Parameters<NonNullable<SearchClientOptions['onServed']>>[0],
): void {
  if (onServed === undefined) return;
  void (async () => onServed(served))().catch(() => undefined);
}
