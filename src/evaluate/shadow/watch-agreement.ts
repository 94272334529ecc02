import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../errors.ts';
import { type SideProviders, searchTable } from '../../search/search.ts';
import { createShadow } from '../../search/shadow/create-shadow.ts';
import type { ServedSearch } from '../../search/shadow/types.ts';
import { type MigrationContext, throwIfStopped } from '../../state/context.ts';
import { reportShadow, type ShadowReportOptions } from './report-shadow.ts';
import type { ShadowReport } from './types.ts';

export interface WatchOptions extends Omit<ShadowReportOptions, 'since'> {
  /** How long to watch, in milliseconds. */
  readonly durationMs: number;
  /** Queries to ask both sides, each once, evenly over that time; without them what the application's own shadow logs meanwhile is reported. */
  readonly queries?: readonly string[] | undefined;
  /** Hits a search (10). */
  readonly limit?: number | undefined;
  readonly providers: SideProviders;
}

/**
 * Watches for a while how far the side that serves and the other one agree: after the swap the kept old column beside the new one, before it
 * the new column beside the old. Each query goes first to the side that serves, then to the other; both are timed from the text to the hits.
 *
 * @throws PreflightError `not_expanded`, `old_column_gone` after the old column was dropped, `no_shadow_log`; ConfigError `no_provider`
 */
export async function watchAgreement(ctx: MigrationContext, options: WatchOptions): Promise<ShadowReport> {
  const { rows } = await ctx.db.query<{ now: string }>('SELECT pg_catalog.clock_timestamp()::text AS now');
  const since = rows[0]?.now;
  const { queries } = options;
  if (queries === undefined) {
    await pause(ctx, options.durationMs);
    return reportShadow(ctx, { ...options, since });
  }
  const { failed, lastError } = await askBoth(ctx, queries, options);
  const report = await reportShadow(ctx, { ...options, since });
  return { ...report, failed, lastError };
}

async function askBoth(
  ctx: MigrationContext,
  queries: readonly string[],
  { durationMs, limit = 10, providers }: WatchOptions,
): Promise<{ readonly failed: number; readonly lastError: string | undefined }> {
  const ask = (query: string, side: 'old' | 'new' | 'active') => timed(ctx, { query, side, limit, providers });
  // Opens both models, so that no latency holds that, and tells what is missing before the time is spent.
  for (const side of ['old', 'new'] as const) await ask(queries[0] ?? '', side);
  const shadow = createShadow({
    migrationId: ctx.definition.id,
    db: ctx.db,
    stateSchema: ctx.runtime.stateSchema,
    sample: 1,
    queryText: true,
    onNotice: (message) => ctx.onProgress({ kind: 'warning', message }),
    ask: (side, { query }) => ask(query, side),
  });
  const minutes = Math.round(durationMs / 6000) / 10;
  ctx.onProgress({ kind: 'notice', message: `Asking both sides ${queries.length} queries within ${minutes} min.` });
  let failed = 0;
  let lastError: string | undefined;
  const started = performance.now();
  try {
    for (const [i, query] of queries.entries()) {
      await pause(ctx, started + (durationMs * i) / queries.length - performance.now());
      if (performance.now() - started > durationMs) break;
      try {
        shadow.offer(await ask(query, 'active'));
      } catch (error) {
        failed++;
        lastError = messageOf(error);
      }
      await shadow.settled();
    }
  } finally {
    await shadow.close();
  }
  return { failed: failed + shadow.counts.failed, lastError: shadow.counts.lastError ?? lastError };
}

async function timed(
  ctx: MigrationContext,
  options: {
    readonly query: string;
    readonly side: 'old' | 'new' | 'active';
    readonly limit: number;
    readonly providers: SideProviders;
  },
): Promise<ServedSearch> {
  const started = performance.now();
  const { side, hits } = await searchTable(ctx, options);
  const { query, limit } = options;
  return { side, query, limit, keys: hits.map(({ key }) => key), milliseconds: performance.now() - started };
}

/** A timer of more than 24 days is over at once. */
const LONGEST_SLEEP_MS = 3_600_000;

/** @throws InterruptedError */
async function pause(ctx: MigrationContext, milliseconds: number): Promise<void> {
  const until = performance.now() + milliseconds;
  for (let left = milliseconds; left > 0; left = until - performance.now()) {
    await sleep(Math.min(left, LONGEST_SLEEP_MS), undefined, { signal: ctx.signal }).catch(() => undefined);
    throwIfStopped(ctx, 'inspect');
  }
  throwIfStopped(ctx, 'inspect');
}
