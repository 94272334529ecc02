import type { Queryable } from '../../db/types.ts';
import type { SqlFragment } from '../../sql/filter.ts';

export interface KeywordHit {
  /** The key's values as text, in key order. */
  readonly key: readonly string[];
  readonly text: string | null;
  /** BM25; more is better. */
  readonly score: number;
}

export interface KeywordSearchOptions {
  readonly limit: number;
  /** Only rows for which this holds. */
  readonly filter?: SqlFragment | undefined;
  /** Only rows that the new side cannot serve yet: those without its vector. */
  readonly withoutVector?: string | undefined;
}

/** The best rows for the words of a query, best first, read within the request's own transaction. */
export type KeywordSearch = (tx: Queryable, query: string, options: KeywordSearchOptions) => Promise<KeywordHit[]>;

/**
 * What found the hits: `index`, made by `reembed keyword build`; `scan`, every row of a small table; or an extension, whose SQL was
 * never run by us.
 */
export type KeywordEngine = 'index' | 'scan' | 'pg_search (untried)' | 'vchord_bm25 (untried)';

export interface KeywordResult {
  readonly hits: KeywordHit[];
  readonly engine: KeywordEngine;
  /** The text search configuration by which words were taken apart; undefined of an extension, which has its own. */
  readonly language: string | undefined;
  /** False where frequent words alone could have brought a row among these that was not looked at; undefined of an extension. */
  readonly complete: boolean | undefined;
}
