import { setTimeout as sleep } from 'node:timers/promises';
import { isConnectionLoss, SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Session } from '../db/types.ts';
import { messageOf, type Step } from '../errors.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { createIndexSql, type IndexDefinition, isSameIndex, parseIndexDefinition } from '../sql/index-definition.ts';
import { interrupted, type MigrationContext, throwIfStopped } from '../state/context.ts';
import { giveResources, lacksSharedMemory, RESET_BUILD_SESSION, withoutTimeouts } from './prepare-build.ts';

const POLL_MS = 500;
/** Ctrl-C is to end within 5 seconds, whoever holds the table. */
const STOPPING_WAIT_MS = 1_500;

export interface IndexBuild {
  readonly schema: string;
  readonly table: string;
  /** The name under which it is built. */
  readonly name: string;
  /** The name for progress and notices. */
  readonly label: string;
  readonly definition: IndexDefinition;
  /** Bytes of maintenance_work_mem that IVFFlat needs and HNSW profits from; undefined leaves the server's setting. */
  readonly memoryBytes: number | undefined;
  readonly step: Step;
}

/**
 * Builds one index CONCURRENTLY on a session of its own without timeouts, or takes over a valid one of the same definition that an
 * interrupted run left. An invalid leftover is dropped first; a build that its client's death did not end is waited for.
 *
 * @throws InterruptedError when the signal aborts; the build is cancelled and its leftover dropped
 */
export async function buildIndex(ctx: MigrationContext, build: IndexBuild): Promise<'built' | 'reused'> {
  throwIfStopped(ctx, build.step);
  await waitForOrphan(ctx, build);
  const existing = await readIndex(ctx, build);
  if (existing !== undefined) {
    if (existing.valid && isSameIndex(parseIndexDefinition(existing.definition), build.definition)) return 'reused';
    await dropIndexConcurrently(ctx, build.schema, build.name);
  }
  try {
    await buildOnce(ctx, build, false);
  } catch (error) {
    if (!lacksSharedMemory(error)) throw error;
    const message = `${build.label}: the server has too little shared memory for parallel workers; building without them.`;
    ctx.onProgress({ kind: 'warning', message });
    await buildOnce(ctx, build, true);
  }
  return 'built';
}

async function buildOnce(ctx: MigrationContext, build: IndexBuild, serial: boolean): Promise<void> {
  const session = await ctx.db.openSession();
  try {
    await withoutTimeouts(session);
    await giveResources(ctx, session, { method: build.definition.method, needBytes: build.memoryBytes }, serial);
    await runWatched(ctx, session, build);
  } catch (error) {
    await dropLeftover(ctx, build, error);
    throw error;
  } finally {
    await session.query(RESET_BUILD_SESSION).catch(() => undefined);
    await session.close().catch(() => undefined);
  }
}

/** After a lost connection the server may still be building: that is for the next run to wait for. */
async function dropLeftover(ctx: MigrationContext, build: IndexBuild, error: unknown): Promise<void> {
  if (isConnectionLoss(error)) return;
  try {
    const left = await readIndex(ctx, build);
    if (left !== undefined && !left.valid) await dropIndexConcurrently(ctx, build.schema, build.name);
  } catch (cause) {
    const message = `The unfinished index ${build.name} could not be dropped: ${messageOf(cause)}`;
    ctx.onProgress({ kind: 'warning', message });
  }
}

/**
 * DROP INDEX CONCURRENTLY IF EXISTS. It waits for every transaction that has touched the table: without end while there is work
 * to do, but shortly once the context's signal has aborted. What is left INVALID then is dropped by the next run.
 *
 * @throws InterruptedError when the signal aborts while it waits
 */
export async function dropIndexConcurrently(ctx: MigrationContext, schema: string, name: string): Promise<void> {
  const session = await ctx.db.openSession();
  const cancel = (): void => {
    if (!ctx.db.embedded) ctx.db.query('SELECT pg_catalog.pg_cancel_backend($1)', [session.pid]).catch(() => undefined);
  };
  const stopping = ctx.signal?.aborted === true;
  try {
    await withoutTimeouts(session);
    if (stopping) await session.query(`SET lock_timeout = ${STOPPING_WAIT_MS}`);
    else ctx.signal?.addEventListener('abort', cancel);
    await session.query(`DROP INDEX CONCURRENTLY IF EXISTS ${quoteQualified(schema, name)}`);
  } catch (error) {
    if (!stopping && sqlStateOf(error) === SQLSTATE.queryCanceled) throwIfStopped(ctx, 'cut-over');
    throw error;
  } finally {
    ctx.signal?.removeEventListener('abort', cancel);
    await session.query(RESET_BUILD_SESSION).catch(() => undefined);
    await session.close().catch(() => undefined);
  }
}

async function runWatched(ctx: MigrationContext, session: Session, build: IndexBuild): Promise<void> {
  const done = new AbortController();
  const watching = ctx.db.embedded ? undefined : watch(ctx, session.pid, build, done.signal);
  try {
    await session.query(createIndexSql(build, build.name, build.definition));
  } catch (error) {
    if (ctx.signal?.aborted === true && sqlStateOf(error) === SQLSTATE.queryCanceled)
      throw interrupted(ctx.signal, build.step);
    throw error;
  } finally {
    done.abort();
    await watching;
  }
}

/** Looks at the build from another connection until it is done; cancels it when the context's signal aborts. */
async function watch(ctx: MigrationContext, pid: number, build: IndexBuild, done: AbortSignal): Promise<void> {
  const wake = ctx.signal === undefined ? done : AbortSignal.any([done, ctx.signal]);
  let announced = '';
  while (!done.aborted) {
    try {
      if (ctx.signal?.aborted === true) await ctx.db.query('SELECT pg_catalog.pg_cancel_backend($1)', [pid]);
      await reportProgress(ctx, pid, build);
      announced = await reportBlockers(ctx, pid, build, announced);
    } catch {
      // Watching is a courtesy: the build itself tells what went wrong.
    }
    await sleep(POLL_MS, undefined, { signal: ctx.signal?.aborted === true ? done : wake }).catch(() => undefined);
  }
}

async function reportProgress(ctx: MigrationContext, pid: number, build: IndexBuild): Promise<void> {
  const { rows } = await ctx.db.query<{ phase: string; fraction: number | null }>(
    `SELECT phase, CASE WHEN tuples_total > 0 THEN tuples_done::float8 / tuples_total
       WHEN blocks_total > 0 THEN blocks_done::float8 / blocks_total END AS fraction
     FROM pg_catalog.pg_stat_progress_create_index WHERE pid = $1`,
    [pid],
  );
  const row = rows[0];
  if (row === undefined) return;
  const fraction = row.fraction === null ? undefined : Math.min(1, row.fraction);
  ctx.onProgress({ kind: 'index', index: build.label, phase: row.phase, fraction });
}

async function reportBlockers(
  ctx: MigrationContext,
  pid: number,
  build: IndexBuild,
  announced: string,
): Promise<string> {
  const { rows } = await ctx.db.query<{ who: string }>(
    `SELECT 'pid ' || b.pid || COALESCE(' (' || pg_catalog.concat_ws(', ', NULLIF(a.application_name, ''), a.usename, a.state) || ')', '') AS who
     FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) AS b(pid) LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid ORDER BY 1`,
    [pid],
  );
  const who = rows.map((row) => row.who).join(', ');
  if (who !== '' && who !== announced) {
    ctx.onProgress({ kind: 'notice', message: `Building ${build.label} waits for the transaction of ${who} to end.` });
  }
  return who === '' ? announced : who;
}

async function readIndex(
  ctx: MigrationContext,
  build: Pick<IndexBuild, 'schema' | 'table' | 'name'>,
): Promise<{ valid: boolean; definition: string } | undefined> {
  const { rows } = await ctx.db.query<{ valid: boolean; definition: string }>(
    `SELECT i.indisvalid AND i.indisready AS valid, pg_catalog.pg_get_indexdef(i.indexrelid) AS definition
     FROM pg_catalog.pg_index i WHERE i.indexrelid = pg_catalog.to_regclass($1)
       AND i.indrelid = pg_catalog.to_regclass($2)`,
    [quoteQualified(build.schema, build.name), quoteQualified(build.schema, build.table)],
  );
  return rows[0];
}

/** kill -9 ends the client, not the server's work on a build: the finished index is worth waiting for. */
async function waitForOrphan(ctx: MigrationContext, build: IndexBuild): Promise<void> {
  if (ctx.db.embedded) return;
  for (let announced = false; ; announced = true) {
    const { rows } = await ctx.db.query<{ pid: number }>(
      'SELECT pid FROM pg_catalog.pg_stat_progress_create_index WHERE index_relid = pg_catalog.to_regclass($1)::oid',
      [quoteQualified(build.schema, build.name)],
    );
    const pid = rows[0]?.pid;
    if (pid === undefined) return;
    if (ctx.signal?.aborted === true) {
      await ctx.db.query('SELECT pg_catalog.pg_cancel_backend($1)', [pid]);
      throwIfStopped(ctx, build.step);
    }
    if (!announced) {
      ctx.onProgress({
        kind: 'notice',
        message: `${build.label} is still being built by pid ${pid} of an interrupted run; waiting for it.`,
      });
    }
    await reportProgress(ctx, pid, build);
    await sleep(POLL_MS, undefined, ctx.signal === undefined ? {} : { signal: ctx.signal }).catch(() => undefined);
  }
}
