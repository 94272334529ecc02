import type { MigrationContext } from '../state/context.ts';
import { retryAfterSwap } from './active-model.ts';
import { queryVectors, type SideProviders, searchAll } from './search.ts';
import { readSearchSide, type SearchIndex } from './search-side.ts';

export interface KnownItemQuery {
  /** A text, or a vector of the side's model. */
  readonly query: string | Float32Array;
  /** Keys, as text in key order, of the rows that answer it. */
  readonly relevant: readonly (readonly string[])[];
}

export interface RecallOptions {
  readonly queries: readonly KnownItemQuery[];
  /** Hits that count (10). */
  readonly k?: number;
  readonly side: 'old' | 'new' | 'active';
  /** Every vector compared, or the index asked whatever the planner would do. */
  readonly exact: boolean;
  readonly providers: SideProviders;
}

export interface RecallResult {
  readonly side: 'old' | 'new';
  readonly k: number;
  readonly queries: number;
  /** Mean share of a query's relevant rows among its first k hits: 0..1. */
  readonly recall: number;
  /** Mean of 1 / rank of the first relevant hit, 0 where there is none among k. */
  readonly mrr: number;
  /** The index that was asked; undefined for an exact search, or where there is none. */
  readonly index: SearchIndex | undefined;
}

/**
 * Recall@k and MRR over queries with known answers.
 *
 * @throws RangeError without queries, or for a query without a relevant row
 */
export async function knownItemRecall(ctx: MigrationContext, options: RecallOptions): Promise<RecallResult> {
  const k = options.k ?? 10;
  const { queries } = options;
  if (queries.length === 0 || queries.some(({ relevant }) => relevant.length === 0)) {
    throw new RangeError('recall needs queries, each with at least one relevant row');
  }
  return retryAfterSwap(async () => {
    const side = await readSearchSide(ctx, options.side);
    const vectors = await queryVectors(
      queries.map(({ query }) => query),
      side,
      options.providers,
      ctx.signal,
    );
    const found = await searchAll(ctx, side, vectors, k, options.exact ? 'exact' : 'index');
    const scores = queries.map(({ relevant }, i) =>
      scoreQuery(
        (found[i] ?? []).map((hit) => hit.key),
        relevant,
      ),
    );
    return {
      side: side.side,
      k,
      queries: queries.length,
      recall: mean(scores.map((score) => score.recall)),
      mrr: mean(scores.map((score) => score.reciprocalRank)),
      index: options.exact ? undefined : side.index,
    };
  });
}

/** Of one query's hits, nearest first. */
export function scoreQuery(
  hits: readonly (readonly string[])[],
  relevant: readonly (readonly string[])[],
): { readonly recall: number; readonly reciprocalRank: number } {
  const wanted = new Set(relevant.map((key) => JSON.stringify(key)));
  const ranks = hits.flatMap((key, i) => (wanted.has(JSON.stringify(key)) ? [i + 1] : []));
  const [first] = ranks;
  return { recall: ranks.length / wanted.size, reciprocalRank: first === undefined ? 0 : 1 / first };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
