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

/** A transaction holds the table's lock, so that it covers few searches and little time: a swap comes in between, and a stop too. */
const SEARCHES_A_TRANSACTION = 20;
const TRANSACTION_MS = 2_000;

/** Asks one side all queries, one after the other, as a single client would. */
export async function runSearches(ctx: MigrationContext, run: SearchRun): Promise<Answer[]> {
  const answers: Answer[] = [];
  const started = performance.now();
  for await (const part of searchTimed(ctx, run, run.depth)) {
    if (answers.length === 0) tellRest(ctx, performance.now() - started, part.length, run.vectors.length);
    for (const { hits, milliseconds } of part) {
      answers.push({
        ranking: hits.map(({ key }) => keyId(key)),
        scores: hits.map(({ score }) => score),
        milliseconds,
      });
    }
  }
  return answers;
}

/** The same with the first `topK` hits (all that are kept, where those are more) put in order by a reranker, which has the texts of one transaction's searches at a time. */
export async function runReranked(
  ctx: MigrationContext,
  run: SearchRun,
  queries: readonly string[],
  reranker: SideReranker,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const started = performance.now();
  for await (const part of searchTimed(ctx, run, Math.max(reranker.topK, run.depth))) {
    for (const found of part) {
      throwIfStopped(ctx, 'inspect');
      answers.push(await rerank(ctx, found, queries[answers.length] ?? '', run.depth, reranker));
      if (answers.length === 1) tellRest(ctx, performance.now() - started, 1, run.vectors.length);
    }
  }
  return answers;
}

async function rerank(
  ctx: MigrationContext,
  { hits, milliseconds }: TimedSearch,
  query: string,
  depth: number,
  { model }: SideReranker,
): Promise<Answer> {
  const started = performance.now();
  const texts = hits.map(({ text }) => text ?? '');
  const scores = texts.length === 0 ? [] : await model.score(query, texts, { signal: ctx.signal });
  const scored = hits.map(({ key }, i) => ({ id: keyId(key), score: scores[i] ?? 0 }));
  const kept = scored.sort((a, b) => b.score - a.score).slice(0, depth);
  return {
    ranking: kept.map(({ id }) => id),
    scores: kept.map(({ score }) => score),
    milliseconds: milliseconds + performance.now() - started,
  };
}

interface TimedSearch {
  readonly hits: readonly SearchHit[];
  readonly milliseconds: number;
}

/** In parts, each of a transaction. */
async function* searchTimed(
  ctx: MigrationContext,
  { search, vectors, path, filter }: SearchRun,
  limit: number,
): AsyncGenerator<readonly TimedSearch[]> {
  const asked = path === 'exact' ? { ...search, index: undefined } : search;
  for (let next = 0; next < vectors.length; ) {
    throwIfStopped(ctx, 'inspect');
    const part = await ctx.db.transaction(async (tx) => {
      await applySettings(tx, searchSettings(search, path, limit));
      const found: TimedSearch[] = [];
      const until = performance.now() + TRANSACTION_MS;
      for (const vector of vectors.slice(next, next + SEARCHES_A_TRANSACTION)) {
        const started = performance.now();
        const hits = await nearest(tx, asked, vector, limit, filter);
        found.push({ hits, milliseconds: performance.now() - started });
        if (performance.now() > until) break;
      }
      await refuseSwapSince(tx, ctx.runtime.stateSchema, ctx.definition.id, search.active);
      return found;
    });
    next += part.length;
    yield part;
  }
}

/** From so much on what is left is told. */
const LONG_MS = 60_000;

function tellRest(ctx: MigrationContext, elapsedMs: number, done: number, total: number): void {
  const message = restOfTime(elapsedMs, done, total);
  if (message !== undefined) ctx.onProgress({ kind: 'notice', message });
}

/** How long the rest of the queries takes, where that is long; undefined where it is not. */
export function restOfTime(elapsedMs: number, done: number, total: number): string | undefined {
  const left = (elapsedMs / done) * (total - done);
  if (left < LONG_MS) return undefined;
  const each = (elapsedMs / done / 1000).toPrecision(2);
  return `The ${total - done} queries left take about ${Math.ceil(left / 60_000)} min, ${each} s each; with --sample fewer are asked.`;
}
