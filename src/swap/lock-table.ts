import { setTimeout as sleep } from 'node:timers/promises';
import type { TableInfo } from '../db/catalog-types.ts';
import { isPassingDatabaseError, SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Queryable } from '../db/types.ts';
import { BusyError, type Step } from '../errors.ts';
import { plural } from '../plural.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { tableTreeSql } from '../sql/relation-size.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';

/** Behind a waiting ACCESS EXCLUSIVE everybody else waits as well: so long at most, then let them pass and try again. */
const LOCK_TIMEOUT_MS = 50;
/** A vacuum gives way to this weaker lock after deadlock_timeout (1 s); readers and writers do not notice it. */
const VACUUM_YIELDS_MS = 3_000;
/** The locks of all partitions together: each may wait for as long as `LOCK_TIMEOUT_MS`, and the first ones are held meanwhile. */
const ALL_PARTITIONS_MS = 100;
const STATEMENT_TIMEOUT_MS = 5_000;
/** A process that is stopped between two statements under the lock must not hold the table until it is found. */
const IDLE_TIMEOUT_MS = 5_000;
const TOTAL_LIMIT_MS = 60_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;

export interface Locked<T> {
  readonly value: T;
  /** Tries, the last one included. */
  readonly attempts: number;
  /** How long the table was locked, commit included. */
  readonly lockedMs: number;
}

/**
 * Runs `work` in a transaction that holds the table, with all its partitions, under ACCESS EXCLUSIVE. Each try waits 50 ms at most; between
 * tries there are growing pauses with jitter. A lost connection is tried again too: `work` must first look whether it was done already.
 *
 * @param before locks what its readers lock before the table, within the same 50 ms each; true when it did, which counts as locked
 * @throws BusyError `table_locked` naming who holds the table, after a minute
 */
export async function withTableLock<T>(
  ctx: MigrationContext,
  table: Pick<TableInfo, 'oid' | 'schema' | 'name'>,
  step: Step,
  work: (tx: Queryable) => Promise<T>,
  before?: (tx: Queryable) => Promise<boolean>,
): Promise<Locked<T>> {
  const name = quoteQualified(table.schema, table.name);
  return withLocks(ctx, table, step, async (tx, { partitioned }) => {
    // Not ONLY: whoever comes through the table waits at its top while the partitions, in the order that writers take them, come free.
    await tx.query(`LOCK TABLE ${name} IN SHARE UPDATE EXCLUSIVE MODE`);
    await tx.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
    const began = performance.now();
    const holds = (await before?.(tx)) ?? false;
    if (partitioned) await tx.query(`SET LOCAL statement_timeout = ${ALL_PARTITIONS_MS}`);
    await tx.query(`LOCK TABLE ${name} IN ACCESS EXCLUSIVE MODE`);
    if (partitioned) await tx.query(`SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
    return { work, since: holds ? began : performance.now() };
  });
}

/**
 * Runs statements that lock something of the table for a moment, themselves and no longer than 50 ms each, with the same tries and pauses.
 *
 * @throws BusyError `table_locked`
 */
export async function withBriefLocks<T>(
  ctx: MigrationContext,
  table: Pick<TableInfo, 'oid' | 'schema' | 'name'>,
  step: Step,
  work: (tx: Queryable) => Promise<T>,
): Promise<T> {
  const { value } = await withLocks(ctx, table, step, async (tx) => {
    await tx.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
    return { work, since: performance.now() };
  });
  return value;
}

/** Locks that were taken. */
interface Taken<T> {
  /** What is to be done under them. */
  readonly work: (tx: Queryable) => Promise<T>;
  /** Since when somebody may wait for them. */
  readonly since: number;
}

/** @param lock takes the locks, and may be tried again where it runs out of time; what it returns is run under them */
async function withLocks<T>(
  ctx: MigrationContext,
  table: Pick<TableInfo, 'oid' | 'schema' | 'name'>,
  step: Step,
  lock: (tx: Queryable, about: { readonly partitioned: boolean }) => Promise<Taken<T>>,
): Promise<Locked<T>> {
  const started = performance.now();
  for (let attempts = 1; ; attempts++) {
    throwIfStopped(ctx, step);
    let lockedAt: number | undefined;
    try {
      const value = await ctx.db.transaction(
        async (tx) => {
          await tx.query(`SET LOCAL idle_in_transaction_session_timeout = ${IDLE_TIMEOUT_MS}`);
          const taken = await lock(tx, { partitioned: await isPartitioned(tx, table.oid) });
          lockedAt = taken.since;
          return taken.work(tx);
        },
        { lockTimeoutMs: VACUUM_YIELDS_MS, statementTimeoutMs: STATEMENT_TIMEOUT_MS },
      );
      return { value, attempts, lockedMs: performance.now() - (lockedAt ?? started) };
    } catch (error) {
      const state = sqlStateOf(error);
      // A statement that ran out of time under the lock would do so again, and everybody would wait for it again.
      const tooLong = state === SQLSTATE.queryCanceled && lockedAt !== undefined;
      if (!isPassingDatabaseError(error) || tooLong) throw error;
      if (performance.now() - started > TOTAL_LIMIT_MS) {
        const isBusy = state === SQLSTATE.lockNotAvailable || state === SQLSTATE.queryCanceled;
        throw isBusy ? await tableLocked(ctx, table, step, attempts, error) : error;
      }
    }
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 1.6 ** (attempts - 1)) * (0.75 + Math.random() / 2);
    await sleep(pause, undefined, ctx.signal === undefined ? {} : { signal: ctx.signal }).catch(() =>
      throwIfStopped(ctx, step),
    );
  }
}

async function isPartitioned(tx: Queryable, oid: number): Promise<boolean> {
  const { rows } = await tx.query(`SELECT 1 FROM pg_catalog.pg_class WHERE oid = $1 AND relkind = 'p'`, [oid]);
  return rows.length > 0;
}

async function tableLocked(
  ctx: MigrationContext,
  table: Pick<TableInfo, 'oid' | 'schema' | 'name'>,
  step: Step,
  attempts: number,
  cause: unknown,
): Promise<BusyError> {
  const holders = ctx.db.embedded ? [] : await readLockHolders(ctx.db, table.oid).catch(() => []);
  const who = holders.length === 0 ? '' : ` It is held by ${holders.join('; ')}.`;
  return new BusyError(
    'table_locked',
    `${table.schema}.${table.name} could not be locked for a moment in ${attempts} ${plural(attempts, 'try', 'tries')} over ${TOTAL_LIMIT_MS / 1000} s.${who}`,
    {
      step,
      hint: 'End or wait for the sessions that hold it, then run the same command again: nothing was changed.',
      context: { attempts, holders },
      cause,
    },
  );
}

/** Sessions with a lock on the table, longest transaction first; never their queries, which may hold secrets. */
export async function readLockHolders(db: Queryable, tableOid: number): Promise<string[]> {
  const { rows } = await db.query<{ holder: string }>(
    `SELECT DISTINCT ON (a.xact_start, l.pid) COALESCE('pid ' || l.pid || ' (' ||
         pg_catalog.concat_ws(', ', NULLIF(a.application_name, ''), a.usename, a.backend_type, a.state,
           'in its transaction for ' || pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::numeric, 1) || ' s') || ')',
       'a prepared transaction') AS holder
     FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'relation' AND l.relation IN ${tableTreeSql('$1::oid')} AND l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
     ORDER BY a.xact_start, l.pid LIMIT 5`,
    [tableOid],
  );
  return rows.map((row) => row.holder);
}
