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
