import { PreflightError } from '../../errors.ts';
import type { ShadowDetail } from '../../search/shadow/types.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { readShadowSql, shadowDetailSql, shadowTable } from '../../sql/shadow-log.ts';
import type { MigrationContext } from '../../state/context.ts';
import { resolveMigration } from '../../state/resolve.ts';
import { ascending, bootstrapMean, meanOf, quantile } from '../../vector/distribution.ts';
import type { ShadowReport, SideLatency, WorstSearch } from './types.ts';

export interface ShadowReportOptions {
  /** Searches since then only: an ISO timestamp, of the database's clock. */
  readonly since?: string | undefined;
  /** Of the intervals. */
  readonly seed: number;
  /** Examples (5). */
  readonly worst?: number | undefined;
}

interface LoggedSearch {
  readonly id: string;
  readonly at: string;
  readonly served: 'old' | 'new';
  readonly k: number;
  readonly overlap: number;
  readonly rankBiasedOverlap: number;
  readonly servedMs: number;
  readonly shadowMs: number;
  readonly firstChanged: boolean;
}

/** The log keeps 50,000 unless another number is set. */
const READ_AT_MOST = 100_000;

/**
 * What the shadow's log says about a migration. Searches from before the backfill was complete are left out and counted: a column that is half
 * full agrees with nothing.
 *
 * @throws PreflightError `not_expanded`, `no_shadow_log` when nothing was logged
 */
export async function reportShadow(ctx: MigrationContext, options: ShadowReportOptions): Promise<ShadowReport> {
  const { record } = await resolveMigration(ctx, { withoutText: true });
  const asked = options.since ?? '-infinity';
  const whole = await readWholeSince(ctx);
  const { rows } = await ctx.db.query<LoggedSearch>(readShadowSql(ctx.runtime.stateSchema), [
    record.id,
    options.since ?? whole ?? '-infinity',
    READ_AT_MOST,
  ]);
  const total = await countLogged(ctx, asked);
  if (rows.length === 0) throw nothingLogged(record.id, total);
  const ks = ascending(rows.map(({ k }) => k));
  return {
    migration: record.id,
    since: rows.at(-1)?.at ?? null,
    until: rows[0]?.at ?? null,
    searches: rows.length,
    leftOut: total - rows.length,
    complete: record.phase !== 'expanded' && record.phase !== 'backfilling',
    served: { old: countServed(rows, 'old'), new: countServed(rows, 'new') },
    k: { least: ks[0] ?? 0, most: ks.at(-1) ?? 0 },
    ...summarise(rows, options.seed),
    worst: await readWorst(ctx, rows, options.worst ?? 5),
  };
}

function summarise(
  rows: readonly LoggedSearch[],
  seed: number,
): Pick<ShadowReport, 'overlap' | 'rankBiasedOverlap' | 'firstChanged' | 'latency'> {
  const of = (read: (row: LoggedSearch) => number) => rows.map(read);
  return {
    overlap: bootstrapMean(
      of((row) => row.overlap),
      seed,
    ),
    rankBiasedOverlap: bootstrapMean(
      of((row) => row.rankBiasedOverlap),
      seed,
    ),
    firstChanged: meanOf(of((row) => Number(row.firstChanged))),
    latency: { old: latencyOf(rows, 'old'), new: latencyOf(rows, 'new') },
  };
}

function latencyOf(rows: readonly LoggedSearch[], side: 'old' | 'new'): SideLatency {
  const sorted = ascending(rows.map((row) => (row.served === side ? row.servedMs : row.shadowMs)));
  return { p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95) };
}

function countServed(rows: readonly LoggedSearch[], side: 'old' | 'new'): number {
  return rows.filter(({ served }) => served === side).length;
}

/** When the backfill that stands was first complete; undefined where the state does not tell. */
async function readWholeSince(ctx: MigrationContext): Promise<string | undefined> {
  const events = `${quoteIdentifier(ctx.runtime.stateSchema)}.events`;
  const { rows } = await ctx.db.query<{ at: string | null }>(
    `SELECT pg_catalog.min(e.at)::text AS at FROM ${events} e WHERE e.migration_id = $1 AND e.kind = 'backfilled' AND e.at >= COALESCE(
       (SELECT pg_catalog.max(b.at) FROM ${events} b WHERE b.migration_id = $1 AND b.kind IN ('expanded', 'backfill-undone')), '-infinity')`,
    [ctx.definition.id],
  );
  return rows[0]?.at ?? undefined;
}

async function countLogged(ctx: MigrationContext, since: string): Promise<number> {
  const { rows } = await ctx.db.query<{ count: number }>(
    `SELECT pg_catalog.count(*)::float8 AS count FROM ${shadowTable(ctx.runtime.stateSchema)} WHERE migration_id = $1 AND at >= $2::timestamptz`,
    [ctx.definition.id, since],
  );
  return rows[0]?.count ?? 0;
}

async function readWorst(
  ctx: MigrationContext,
  rows: readonly LoggedSearch[],
  count: number,
): Promise<readonly WorstSearch[]> {
  const worst = rows
    .filter(({ overlap }) => overlap < 1)
    .sort((a, b) => a.overlap - b.overlap || a.rankBiasedOverlap - b.rankBiasedOverlap)
    .slice(0, count);
  const { rows: details } = await ctx.db.query<{ id: string; detail: ShadowDetail }>(
    shadowDetailSql(ctx.runtime.stateSchema),
    [`{${worst.map(({ id }) => id).join(',')}}`],
  );
  const byId = new Map(details.map(({ id, detail }) => [id, detail]));
  return worst.flatMap(({ id, at, served, overlap }) => {
    const detail = byId.get(id);
    if (detail === undefined) return [];
    const { query, queryHash, lost, gained, moved } = detail;
    return [{ at, served, overlap, query: query ?? undefined, queryHash, lost, gained, moved }];
  });
}

function nothingLogged(id: string, total: number): PreflightError {
  const before = total === 0 ? '' : ` since its backfill was complete; ${total} were before it`;
  return new PreflightError('no_shadow_log', `No search of the migration "${id}" was shadowed${before}.`, {
    step: 'inspect',
    hint: 'Give the search client "shadow: { sample: 0.1 }", or run "reembed evaluate --monitor 10m --queries FILE".',
  });
}
