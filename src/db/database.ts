import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { connectionError, describeConnection } from './connection-error.ts';
import { copyRows } from './copy-rows.ts';
import { answerTime, runQuery } from './run-query.ts';
import type { ConnectionSettings, Database, Queryable, Session, TransactionOptions } from './types.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** A peer that has vanished without a word is noticed by then, and not after the two hours that are the system's default. */
const KEEP_ALIVE_MS = 10_000;

/** For what reads a whole table: counts, checks, a walk over rows that are done. */
const LONGEST_STATEMENT_MS = 3_600_000;

// row_security off turns a policy that would hide rows into an error; a role's own timeouts are meant for its application; bytea_output and the rest are what our parsers expect.
const sessionSetup = (statementTimeoutMs: number): string =>
  `SET row_security = off; SET statement_timeout = ${statementTimeoutMs}; SET bytea_output = 'hex'; ` +
  "SET extra_float_digits = 1; SET DateStyle = ISO; SET idle_in_transaction_session_timeout = '60s'; " +
  // transaction_timeout comes with 17. A backup is one long transaction, and a session that listens or holds a lease is idle.
  "SELECT pg_catalog.set_config(s.name, '0', false) FROM pg_catalog.pg_settings s WHERE s.name IN ('transaction_timeout', 'idle_session_timeout')";

export interface OpenOptions {
  /** Connections in the pool at most (4). */
  readonly maxConnections?: number;
  /** `statement_timeout` of all statements that ask for no other (an hour). What builds CONCURRENTLY takes its own away. */
  readonly statementTimeoutMs?: number;
}

/**
 * Opens reembed's own connections: nothing of an application's driver settings (type parsers, wrappers, pool size) reaches them.
 *
 * @throws DatabaseError `connection_failed` from the first query when Postgres cannot be reached
 */
export function openDatabase(settings: ConnectionSettings, options: OpenOptions = {}): Database {
  const pool = new pg.Pool({
    ...clientConfig(settings),
    max: options.maxConnections ?? 4,
    idleTimeoutMillis: 5_000,
    allowExitOnIdle: true,
  });
  // An idle connection that breaks is replaced at the next query; without a listener the event would end the process.
  pool.on('error', () => undefined);
  // The embedded database enforces none, and its one session is to be left as it was found.
  const usualTimeout = settings.embedded ? 0 : (options.statementTimeoutMs ?? LONGEST_STATEMENT_MS);
  /** Connections that are set up, with their present statement_timeout. */
  const timeouts = new WeakMap<object, number>();

  async function withClient<T>(work: (client: pg.PoolClient) => Promise<T>, timeout = usualTimeout): Promise<T> {
    const client = await pool.connect().catch((error: unknown) => {
      throw connectionError(settings, error);
    });
    const onError = (): void => undefined;
    client.on('error', onError);
    let failure: unknown;
    try {
      const present = timeouts.get(client);
      if (present === undefined)
        await runQuery(client, sessionSetup(timeout), undefined, answerTime(CONNECT_TIMEOUT_MS));
      else if (present !== timeout) await client.query(`SET statement_timeout = ${timeout}`);
      timeouts.set(client, timeout);
      return await work(client);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      client.off('error', onError);
      client.release(failure !== undefined && isUnusable(client, failure));
    }
  }

  return {
    embedded: settings.embedded,
    description: describeConnection(settings),
    query(text, params, limits) {
      // The embedded database enforces no timeout, and its connections share one session.
      if (settings.embedded) return withClient((client) => runQuery(client, text, params));
      const timeout = limits?.statementTimeoutMs ?? usualTimeout;
      return withClient((client) => runQuery(client, text, params, answerTime(timeout)), timeout);
    },
    copyRows: (sql, onRow) => withClient((client) => copyRows(client, sql, onRow, answerTime(usualTimeout))),
    transaction: (work, transactionOptions) => withClient((client) => runTransaction(client, work, transactionOptions)),
    openSession: () => openSession(settings, usualTimeout),
    close: () => pool.end(),
  };
}

function clientConfig(settings: ConnectionSettings): pg.ClientConfig {
  const { embedded: _embedded, ...connection } = settings;
  return {
    ...(connection as pg.ClientConfig),
    application_name: 'reembed',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  };
}

async function runTransaction<T>(
  client: pg.ClientBase,
  work: (tx: Queryable) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  await client.query('BEGIN');
  try {
    if (options.lockTimeoutMs !== undefined)
      await client.query(`SET LOCAL lock_timeout = ${Math.round(options.lockTimeoutMs)}`);
    if (options.statementTimeoutMs !== undefined) {
      await client.query(`SET LOCAL statement_timeout = ${Math.round(options.statementTimeoutMs)}`);
    }
    const within = answerTime(options.statementTimeoutMs ?? 0);
    const result = await work({ query: (text, params) => runQuery(client, text, params, within) });
    await runQuery(client, 'COMMIT', undefined, within);
    return result;
  } catch (error) {
    // A rollback on a broken connection fails as well; the first error is the one to report.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** A connection that broke, or that a failed rollback left in a transaction, must not go back into the pool. */
function isUnusable(client: pg.PoolClient, failure: unknown): boolean {
  const severity = (failure as { severity?: unknown }).severity;
  const internals = client as unknown as { _ending?: boolean; _queryable?: boolean };
  return severity === undefined || severity === 'FATAL' || internals._ending === true || internals._queryable === false;
}

async function openSession(settings: ConnectionSettings, statementTimeoutMs: number): Promise<Session> {
  const client = new pg.Client(clientConfig(settings));
  client.on('error', () => undefined);
  await client.connect().catch((error: unknown) => {
    throw connectionError(settings, error);
  });
  const pid = await setUp(client, statementTimeoutMs).catch(async (error: unknown) => {
    await client.end().catch(() => undefined);
    throw error;
  });
  return {
    pid,
    query: (text, params, limits) => runQuery(client, text, params, limits?.answerWithinMs),
    async listen(channel, { onNotify, onLost }) {
      client.on('notification', onNotify);
      client.once('end', onLost);
      await client.query(`LISTEN ${quoteIdentifier(channel)}`);
    },
    keepProcess(keep) {
      // pg has both, its type declarations have neither.
      const socket = client as pg.Client & { ref(): void; unref(): void };
      if (keep) socket.ref();
      else socket.unref();
    },
    async *copyOut(sql) {
      const stream = client.query(copyTo(sql));
      // Whoever reads it meets its errors; one that comes later, when the session is closed, is nobody's.
      stream.on('error', () => undefined);
      yield* stream;
    },
    close: () => client.end(),
  };
}

/** @returns the backend's process id */
async function setUp(client: pg.Client, statementTimeoutMs: number): Promise<number> {
  await runQuery(client, sessionSetup(statementTimeoutMs), undefined, answerTime(CONNECT_TIMEOUT_MS));
  const { rows } = await runQuery<{ pid: number }>(client, 'SELECT pg_catalog.pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}
