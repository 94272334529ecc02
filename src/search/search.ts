import { ConfigError, IntegrityError } from '../errors.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import type { MigrationContext } from '../state/context.ts';
import { isZeroVector } from '../vector/math.ts';
import { refuseSwapSince, retryAfterSwap } from './active-model.ts';
import { applySettings, nearest, type SearchHit, type SearchPath, searchSettings } from './nearest.ts';
import { assertSameModel } from './same-model.ts';
import { readSearchSide, type SearchIndex, type SearchSide } from './search-side.ts';

/** The models of both sides, opened when a text has to be embedded by one. */
export interface SideProviders {
  readonly old?: (() => Promise<EmbeddingProvider>) | undefined;
  readonly new?: (() => Promise<EmbeddingProvider>) | undefined;
}

export interface SearchOptions {
  /** A text, or a vector of the side's model. */
  readonly query: string | Float32Array;
  /** Hits at most (10). */
  readonly limit?: number;
  /** Whose vectors to search; those that the application uses by default. */
  readonly side?: 'old' | 'new' | 'active';
  /** Compares with every vector instead of asking the index. */
  readonly exact?: boolean;
  readonly providers: SideProviders;
}

export interface SearchResult {
  readonly side: 'old' | 'new';
  readonly column: string;
  readonly distance: SearchSide['distance'];
  /** The index that was there to be used, with its settings; undefined for an exact search. */
  readonly index: SearchIndex | undefined;
  readonly hits: readonly SearchHit[];
}

/**
 * Finds the rows nearest to a text, before the swap and after it, by the old vectors or the new ones.
 *
 * @throws ConfigError `no_provider` for a text when the side's model is not configured
 * @throws ModelError `model_differs` when a text would be embedded by another model than the vectors
 * @throws PreflightError `not_expanded`, `old_column_gone`
 */
export async function searchTable(ctx: MigrationContext, options: SearchOptions): Promise<SearchResult> {
  const limit = options.limit ?? 10;
  if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`limit is a whole number from 1, got ${limit}`);
  return retryAfterSwap(async () => {
    const side = await readSearchSide(ctx, options.side ?? 'active');
    const [vector] = await queryVectors([options.query], side, options.providers, ctx.signal);
    const path = options.exact === true ? 'exact' : 'planner';
    const [hits = []] = await searchAll(ctx, side, [vector ?? new Float32Array(0)], limit, path);
    return {
      side: side.side,
      column: side.target.column,
      distance: side.distance,
      index: options.exact === true ? undefined : side.index,
      hits,
    };
  });
}

/** Searches for several vectors in one transaction, which a swap cannot divide. */
export async function searchAll(
  ctx: MigrationContext,
  side: SearchSide,
  vectors: readonly Float32Array[],
  limit: number,
  path: SearchPath,
): Promise<SearchHit[][]> {
  const asked = path === 'exact' ? { ...side, index: undefined } : side;
  return ctx.db.transaction(async (tx) => {
    await applySettings(tx, searchSettings(side, path, limit));
    const results: SearchHit[][] = [];
    for (const vector of vectors) results.push(await nearest(tx, asked, vector, limit));
    await refuseSwapSince(tx, ctx.runtime.stateSchema, ctx.definition.id, side.active);
    return results;
  });
}

/** Vectors for queries, those that are texts embedded by the side's model in one call. */
export async function queryVectors(
  queries: readonly (string | Float32Array)[],
  side: SearchSide,
  providers: SideProviders,
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  const texts = queries.filter((query) => typeof query === 'string');
  const embedded = texts.length === 0 ? [] : await embedQueries(texts, side, providers, signal);
  let next = 0;
  return queries.map((query) => {
    const vector = typeof query === 'string' ? embedded[next++] : query;
    if (vector === undefined || isZeroVector(vector)) {
      throw new IntegrityError('zero_query', 'The query has no direction: its vector is all zeros.', {
        step: 'inspect',
        hint: 'Search for a text with words in it.',
      });
    }
    return vector;
  });
}

async function embedQueries(
  texts: readonly string[],
  { side, target, model }: SearchSide,
  providers: SideProviders,
  signal: AbortSignal | undefined,
): Promise<readonly Float32Array[]> {
  const open = providers[side];
  if (open === undefined) {
    throw new ConfigError(
      'no_provider',
      `The ${side} model is not configured, so a text cannot be searched by its vectors.`,
      {
        step: 'inspect',
        hint:
          side === 'old'
            ? 'Set "from" in reembed.config.ts (or EMBEDDING_OLD_PROVIDER, EMBEDDING_OLD_MODEL, EMBEDDING_OLD_DIMENSIONS).'
            : 'Set "model" in reembed.config.ts (or EMBEDDING_MODEL).',
      },
    );
  }
  const provider = await open();
  assertSameModel(`${target.schema}.${target.table}.${target.column}`, model, provider.model);
  return (await provider.embed(texts, { kind: 'query', signal })).vectors;
}
