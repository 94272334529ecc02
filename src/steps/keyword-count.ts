import { quoteQualified } from '../sql/identifiers.ts';
import { countWindowSql } from '../sql/keyword-statistics.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { addToCount, beginCount, type Count, finishCount } from '../state/keyword.ts';
import type { ResolvedMigration } from '../state/resolve.ts';

export interface WordCount {
  /** Rows with a word. */
  readonly documents: number;
  /** Words of all rows together. */
  readonly tokens: number;
  /** Different words. */
  readonly terms: number;
}

const FIRST_WINDOW = 1_000;
const MAX_WINDOW = 20_000;
/** A window takes about so long: nothing of the server is held for longer. */
const WINDOW_MS = 500;
/** Different words that are held in memory before they are added to the state. */
const HELD_TERMS = 100_000;

interface WindowRow extends Readonly<Record<string, unknown>> {
  readonly lexeme: string | null;
  readonly documents: number;
  readonly tokens: number;
}

/**
 * Counts in how many rows each word is, window by window in key order and each in a statement of its own, beside the counts that are in use; at
 * the end the new ones take their place. What is written meanwhile is counted or not, as it comes. Ended before its time, it begins anew.
 *
 * @throws BusyError `keyword_recounted`; InterruptedError
 */
export async function countWords(
  ctx: MigrationContext,
  { target, record, table }: ResolvedMigration,
  corpus: { readonly language: string; readonly indexName: string },
): Promise<WordCount> {
  const { stateSchema } = ctx.runtime;
  const count = await beginCount(ctx.db, stateSchema, record.id, corpus);
  const place = { ...target, language: corpus.language };
  const total = { documents: 0, tokens: 0 };
  const held = new Map<string, number>();
  let cursor: readonly string[] | undefined;
  let window = FIRST_WINDOW;
  const started = performance.now();
  for (;;) {
    throwIfStopped(ctx, 'keyword');
    const began = performance.now();
    const { rows } = await ctx.db.query<WindowRow>(countWindowSql(place, cursor !== undefined), [
      ...(cursor ?? []),
      window,
    ]);
    const last = addWindow(rows, held, total, place.key.length);
    if (last === undefined) break;
    cursor = last;
    window = nextWindow(window, performance.now() - began);
    report(ctx, { done: total.documents, total: table.estimatedRows, ms: performance.now() - started });
    if (held.size > HELD_TERMS) await flush(ctx, count, held);
  }
  await flush(ctx, count, held);
  await ctx.db.transaction((tx) => finishCount(tx, stateSchema, count, { ...corpus, ...total }));
  return { ...total, terms: await countTerms(ctx, count) };
}

/** @returns the last row's key, or undefined behind the last row */
function addWindow(
  rows: readonly WindowRow[],
  held: Map<string, number>,
  total: { documents: number; tokens: number },
  keys: number,
): readonly string[] | undefined {
  let last: readonly string[] | undefined;
  for (const row of rows) {
    total.tokens += row.tokens;
    if (row.lexeme !== null) {
      held.set(row.lexeme, (held.get(row.lexeme) ?? 0) + row.documents);
      continue;
    }
    total.documents += row.documents;
    if (row.k0 !== null) last = Array.from({ length: keys }, (_, i) => String(row[`k${i}`]));
  }
  return last;
}

function nextWindow(window: number, tookMs: number): number {
  return Math.round(Math.min(MAX_WINDOW, 2 * window, Math.max(1, (window * WINDOW_MS) / tookMs)));
}

async function flush(ctx: MigrationContext, count: Count, held: Map<string, number>): Promise<void> {
  await ctx.db.transaction((tx) => addToCount(tx, ctx.runtime.stateSchema, count, held));
  held.clear();
}

function report(ctx: MigrationContext, { done, total, ms }: { done: number; total: number; ms: number }): void {
  const rate = done / (ms / 1000);
  const left = Math.max(0, total - done);
  ctx.onProgress({ kind: 'rows', done, total: done + left, rate, etaSeconds: rate > 0 ? left / rate : undefined });
}

async function countTerms({ db, runtime }: MigrationContext, { migrationId, generation }: Count): Promise<number> {
  const { rows } = await db.query<{ terms: number }>(
    `SELECT pg_catalog.count(*)::float8 AS terms FROM ${quoteQualified(runtime.stateSchema, 'keyword_terms')} WHERE migration_id = $1 AND generation = $2::int`,
    [migrationId, generation],
  );
  return rows[0]?.terms ?? 0;
}
