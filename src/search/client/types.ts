import type { MigrationDefinition } from '../../config/types.ts';
import type { Reranker } from '../../providers/reranker.ts';
import type { SqlFragment } from '../../sql/filter.ts';
import type { EncodeTexts, NamedEncoder, TransactionSource } from '../active-model.ts';
import type { Normalisation } from '../fuse.ts';
import type { KeywordSearch } from '../keyword/types.ts';
import type { SearchIndex } from '../search-side.ts';
import type { Shadow, ShadowSettings } from '../shadow/types.ts';

export type Side = 'old' | 'new';
/** What ranked a row: the vectors of a model, or its words. */
export type Source = Side | 'keyword';

/**
 * `active` follows the swap; `old` and `new` are one model's; `route` gives a share of the requests to the new model; `merge` asks both;
 * `hybrid` asks the active model and the words; `keyword` the words alone.
 */
export type SearchMode = 'active' | Side | 'route' | 'merge' | 'hybrid' | 'keyword';

/** An encoder that is opened by the first request that needs it. */
export interface LazyEncoder {
  open(): Promise<NamedEncoder>;
}

export type Encoder = EncodeTexts | NamedEncoder | LazyEncoder;

/** Transactions of a knex, which also compiles its callbacks: `transactionsOfKnex`. */
export interface KnexTransactions<Builder> extends TransactionSource {
  compileFilter(filter: (builder: Builder) => void): SqlFragment;
}

/** A condition on the searched rows: a fragment made by `where`, or with `transactionsOfKnex` what a knex callback says. */
export type Filter<Builder = never> = SqlFragment | ((builder: Builder) => void);

export interface SearchClientOptions {
  /** The migration as `reembed.config.ts` pins it. */
  readonly migration: MigrationDefinition;
  /** The encoders of both models; only those that a request needs are called. */
  readonly encoders: { readonly old?: Encoder | undefined; readonly new?: Encoder | undefined };
  /** Of requests that name none (`active`). */
  readonly mode?: SearchMode | undefined;
  /** How the rankings of several sources become one (`rank`: reciprocal rank fusion, k = 60; else scores, normalised per source). */
  readonly fusion?: 'rank' | Normalisation | undefined;
  /** How much each source counts in `merge` and `hybrid` (1). */
  readonly weights?: { readonly [source in Source]?: number } | undefined;
  /** The words' search; `openKeyword` of the same migration unless given. */
  readonly keyword?: KeywordSearch | undefined;
  readonly reranker?: Reranker | undefined;
  /** Hits that the reranker reads (200), and that are returned of them where a request names no limit (20). */
  readonly rerank?: { readonly topK?: number; readonly returnTopK?: number; readonly batchSize?: number } | undefined;
  /** Vectors of queries that are kept, per model (1000). */
  readonly cachedQueries?: number | undefined;
  /** Asks the other side a share of what one side served, in the background, and logs how far they agree: `{ sample: 0.1 }`. */
  readonly shadow?: ShadowSettings | undefined;
  /** `reembed` unless REEMBED_STATE_SCHEMA says otherwise. */
  readonly stateSchema?: string | undefined;
  /** Called after each answer and never waited for; what it throws is dropped. */
  readonly onServed?: ((served: Served) => void | Promise<void>) | undefined;
}

export interface QueryOptions<Builder = never> {
  /** Hits at most (10). */
  readonly limit?: number | undefined;
  readonly mode?: SearchMode | undefined;
  /** Of the user or the session: requests with the same key are routed alike. By chance without. */
  readonly key?: string | undefined;
  readonly filter?: Filter<Builder> | undefined;
  /** `false` leaves the reranker out. */
  readonly rerank?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SearchClientHit {
  /** The key's values as text, in key order. */
  readonly key: readonly string[];
  readonly text: string | null;
  /** Falls from hit to hit: the source's own where one ranked all hits, else that of the fusion, or the reranker's. */
  readonly score: number;
  /** The source that ranked it best. */
  readonly from: Source;
  /** Its rank (from 1) and score (cosine similarity, inner product, minus the Euclidean distance, BM25) in each source that found it. */
  readonly found: { readonly [source in Source]?: { readonly rank: number; readonly score: number } };
  /** True when the text was edited after the swap and the vector is still of the former one. */
  readonly stale: boolean;
}

/** One source that was asked. */
export interface AskedSource {
  readonly source: Source;
  /** The vector column; undefined for words. */
  readonly column: string | undefined;
  readonly model: string | undefined;
  /** The approximate index that was there to be used, with its settings. */
  readonly index: SearchIndex | undefined;
}

export interface SearchAnswer {
  readonly hits: readonly SearchClientHit[];
  readonly mode: SearchMode;
  /** What the order of the hits comes from. Rows that it cannot rank yet stand where another of `asked` has them. */
  readonly served: Source | 'both';
  readonly asked: readonly AskedSource[];
  /** Why a source was left out, as its model could not embed the query: in `hybrid` words alone have answered; else the active side, without its gaps. */
  readonly failure: string | undefined;
  readonly milliseconds: number;
}

/** What `onServed` is told. */
export interface Served {
  readonly side: Source | 'both';
  readonly query: string;
  readonly limit: number;
  /** Of the hits, in their order. */
  readonly keys: readonly (readonly string[])[];
  readonly milliseconds: number;
  readonly filter: SqlFragment | undefined;
  /** Whether the reranker put the hits in their order. */
  readonly reranked: boolean;
}

export interface SearchClient<Builder = never> {
  /**
   * The rows that answer a text best.
   *
   * @throws ConfigError `no_provider`, `rows_out_of_reach` when a mode needs what is not configured, `no_knex`; PreflightError `not_expanded`,
   *   `old_column_gone`, `keyword_index_missing`; ModelError `model_differs`; DatabaseError `state_denied`, `filter_failed`
   */
  query(text: string, options?: QueryOptions<Builder>): Promise<SearchAnswer>;
  /** Its counts, and its end: close it when the application stops. Undefined without the option `shadow`. */
  readonly shadow: Shadow | undefined;
}
