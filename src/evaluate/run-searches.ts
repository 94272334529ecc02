import { performance } from 'node:perf_hooks';
import { refuseSwapSince } from '../search/active-model.ts';
import { applySettings, nearest, type SearchHit, type SearchPath, searchSettings } from '../search/nearest.ts';
import type { SearchSide } from '../search/search-side.ts';
import type { SqlFragment } from '../sql/filter.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { keyId } from './queries/types.ts';
import type { SideReranker } from './sides.ts';

/** What a side answered to a query. */
export interface Answer {
  /** `keyId` of the rows, best first. */
  readonly ranking: readonly string[];
  /** One a row: cosine similarity, or what the side's distance or the reranker makes of it; more is nearer. */
  readonly scores: readonly number[];
  readonly milliseconds: number;
}

export interface SearchRun {
  readonly search: SearchSide;
  /** One a query, of the side's model. */
  readonly vectors: readonly Float32Array[];
  /** Hits that are kept. */
  readonly depth: number;
  readonly path: SearchPath;
  /** Rows that may be found; all of the side unless given. */
  readonly filter: SqlFragment | undefined;
}

/** A transaction holds the table's lock, so that it covers few searches: a swap comes in between, and a stop too. */
const SEARCHES_A_TRANSACTION = 20;

/** Asks one side all queries, one after the other, as a single client would. */
export async function runSearches(ctx: MigrationContext, run: SearchRun): Promise<Answer[]> {
  const timed = await searchTimed(ctx, run, run.depth);
  return timed.map(({ hits, milliseconds }) => ({
    ranking: hits.map(({ key }) => keyId(key)),
    scores: hits.map(({ score }) => score),
    milliseconds,
  }));
}

/** The same with the first `topK` hits put in order by a reranker. */
export async function runReranked(
  ctx: MigrationContext,
  run: SearchRun,
  queries: readonly string[],
  { model, topK }: SideReranker,
): Promise<Answer[]> {
  const timed = await searchTimed(ctx, run, Math.max(topK, run.depth));
  const answers: Answer[] = [];
  for (const [i, { hits, milliseconds }] of timed.entries()) {
    throwIfStopped(ctx, 'inspect');
    const started = performance.now();
    const texts = hits.map(({ text }) => text ?? '');
    const scores = texts.length === 0 ? [] : await model.score(queries[i] ?? '', texts, { signal: ctx.signal });
    const scored = hits.map(({ key }, position) => ({ id: keyId(key), score: scores[position] ?? 0 }));
    const best = scored.sort((a, b) => b.score - a.score).slice(0, run.depth);
    const ranking = best.map(({ id }) => id);
    answers.push({
      ranking,
      scores: best.map(({ score }) => score),
      milliseconds: milliseconds + performance.now() - started,
    });
  }
  return answers;
}

async function searchTimed(
  ctx: MigrationContext,
  { search, vectors, path, filter }: SearchRun,
  limit: number,
): Promise<{ hits: SearchHit[]; milliseconds: number }[]> {
  const results: { hits: SearchHit[]; milliseconds: number }[] = [];
  const asked = path === 'exact' ? { ...search, index: undefined } : search;
  for (let start = 0; start < vectors.length; start += SEARCHES_A_TRANSACTION) {
    throwIfStopped(ctx, 'inspect');
    const part = vectors.slice(start, start + SEARCHES_A_TRANSACTION);
    await ctx.db.transaction(async (tx) => {
      await applySettings(tx, searchSettings(search, path, limit));
      for (const vector of part) {
        const started = performance.now();
        const hits = await nearest(tx, asked, vector, limit, filter);
        results.push({ hits, milliseconds: performance.now() - started });
      }
      await refuseSwapSince(tx, ctx.runtime.stateSchema, ctx.definition.id, search.active);
    });
  }
  return results;
}
