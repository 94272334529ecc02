import type { SearchIndex } from '../search/search-side.ts';
import type { RankMetrics } from './metrics.ts';
import type { PairedDifference } from './paired-difference.ts';

/** What a number of queries came to on two sides, or a fact about the vectors themselves. */
export interface EvaluationCheck {
  /** Stable: `dimensions`, `similar_pairs`, `norms`, `isotropy`, `near_duplicates`, `distances`, … */
  readonly code: string;
  /** `info` tells, `warn` wants to be looked at, `fail` stands against a swap. */
  readonly level: 'info' | 'warn' | 'fail';
  /** One sentence: what was found against what was expected. */
  readonly message: string;
  readonly values: Readonly<Record<string, number | string | null>>;
}

export type Verdict = 'go' | 'no-go' | 'inconclusive';

/** What is asked of the new side, in Recall@10, absolute. */
export interface Criterion {
  /** `not-worse` by more than the tolerance, or `better` by more than the gain. */
  readonly kind: 'not-worse' | 'better';
  /** What the difference has to lie above: minus the tolerance, or the gain. */
  readonly limit: number;
}

export interface Decision {
  readonly verdict: Verdict;
  readonly criterion: Criterion;
  /** About how many labelled queries more would settle it, if they came out like these; null where it is settled, or nobody can say. */
  readonly moreQueries: number | null;
}

/** What a user learns about the new model on their own data; `--json` and `--output report.json` have it as it is. */
export interface EvaluationResult {
  readonly migration: string;
  /** Schema and name. */
  readonly table: string;
  /** The database's clock before the first row was read. */
  readonly at: string;
  readonly seed: number;
  /** Of the last side against the first, the checks heeded. */
  readonly verdict: Verdict;
  readonly criterion: Criterion;
  readonly queries: QueryCounts;
  readonly rows: RowCounts;
  /** The depth of `recallAtK` and of the agreement. */
  readonly k: number;
  /** The first is the one that the others are compared with. */
  readonly sides: readonly SideResult[];
  readonly comparisons: readonly SideComparison[];
  /** Queries that lost or gained most between the sides of the verdict; texts of the user's queries, so they are not stored. */
  readonly examples: readonly QueryExample[];
  readonly checks: readonly EvaluationCheck[];
}

export interface QueryCounts {
  /** The file, or the column that was asked for its own rows. */
  readonly source: string;
  /** Found there, before a sample was drawn. */
  readonly found: number;
  readonly used: number;
  /** Among the used ones; the verdict rests on them. */
  readonly labelled: number;
  /** Left out: every relevant row is missing on one side. */
  readonly withoutRow: number;
  /** Lines that stood there before, word for word: asked again they are no more evidence. */
  readonly repeated: number;
  /** Keys that the table does not have. */
  readonly unknownKeys: number;
  /** Known items that stand in more rows than ten. */
  readonly ambiguous: number;
}

export interface RowCounts {
  readonly total: number;
  /** Rows with a vector, column by column in the order of the sides. */
  readonly sides: readonly number[];
  /** Rows with a vector on every side: what was searched. */
  readonly common: number;
  /** Of the common rows: those whose new vector an adapter made of the old one. */
  readonly adapted: number;
  /** Whether a row with a vector was left out: one side has none, or one of another model or of another text. */
  readonly restricted: boolean;
}

export interface SideResult {
  /** `old`, `new`, `new, reranked`; with a projection `old, adapted queries` or `new, adapted queries`. */
  readonly name: string;
  readonly column: string;
  readonly model: SideModel;
  /** What puts its first hits in order; undefined without. */
  readonly reranker: { readonly name: string; readonly topK: number } | undefined;
  readonly exact: SearchMeasures;
  /** Undefined without an index, behind a reranker, and where too many rows were left out for it to be fair. */
  readonly throughIndex: (SearchMeasures & IndexMeasures) | undefined;
}

export interface SideModel {
  readonly provider: string;
  readonly name: string;
  readonly dimensions: number;
  /** sha256 of the fingerprint. */
  readonly fingerprint: string;
}

export interface SearchMeasures {
  /** Undefined without labelled queries. */
  readonly metrics: RankMetrics | undefined;
  /** Milliseconds of a search with its way to the database and back, and of the reranker; the query's embedding is not in it. */
  readonly latency: { readonly p50: number; readonly p95: number };
}

export interface IndexMeasures {
  readonly index: SearchIndex;
  /** Share of the exact first ten that the index finds. */
  readonly ofExact: number;
}

export interface SideComparison extends Decision {
  readonly from: string;
  readonly to: string;
  /** Means over all queries, of the first k. */
  readonly overlap: number;
  readonly rankBiasedOverlap: number;
  /** To minus from, exact search; undefined without labelled queries. */
  readonly recallAt10: PairedDifference | undefined;
  readonly reciprocalRank: PairedDifference | undefined;
  readonly ndcgAt10: PairedDifference | undefined;
  /** By slice, where queries have one. */
  readonly slices: readonly SliceComparison[];
}

export interface SliceComparison {
  readonly slice: string;
  readonly queries: number;
  /** Recall@10 of both. */
  readonly from: number;
  readonly to: number;
  readonly recallAt10: PairedDifference;
}

export interface QueryExample {
  readonly query: string;
  readonly slice?: string | undefined;
  readonly change: 'lost' | 'gained';
  /** Ranks of the first relevant row; null where it is not among those that were retrieved. */
  readonly fromRank: number | null;
  readonly toRank: number | null;
}
