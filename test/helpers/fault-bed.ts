import pg from 'pg';
import { describe, inject } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import type { Database, Queryable } from '../../src/db/types.ts';
import { makeSegments, type SegmentsOptions } from './chain.ts';
import { killStarted, type Running, startKnex, startReembed } from './fault-process.ts';
import { createTestDatabase } from './test-database.ts';

const ONE_SESSION = 'the embedded database has one session for everybody: nothing happens beside it';

/** A group of tests that needs a server, because several sessions or processes work at once; elsewhere skipped by name, with the reason. It carries the tag of `describeWith('pgvector', …)`. */
export function describeOnServer(name: string, tests: () => void): void {
  const tagged = `${name} [pgvector]`;
  if (inject('postgresUrl') !== null) describe(tagged, tests);
  else describe.skip(`${tagged} (needs a server: ${ONE_SESSION})`, tests);
}

/** A client that reembed's own sessions can be told from: it watches, locks and cancels as an application or an operator would. */
export interface Observer extends Queryable {
  close(): Promise<void>;
}

/** A database with `segments` in it, an observer, and the commands that are to be broken. */
export interface FaultBed {
  readonly url: string;
  readonly observer: Observer;
  knex(args: readonly string[], env?: Readonly<Record<string, string>>): Running;
  reembed(args: readonly string[], env?: Readonly<Record<string, string>>): Running;
  /** reembed's own connection for the time of `work`: the oracle's reading, a direct call. */
  withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export async function openFaultBed(segments: SegmentsOptions): Promise<FaultBed> {
  const database = await createTestDatabase();
  return makeFaultBed(database.url, segments, database.drop);
}

/** The same on a database that the caller has made, e.g. of a server that will be stopped. */
export async function makeFaultBed(
  url: string,
  segments: SegmentsOptions,
  drop: () => Promise<void> | void,
): Promise<FaultBed> {
  const observer = await openObserver(url);
  const withDatabase = async <T>(work: (db: Database) => Promise<T>): Promise<T> => {
    const db = openDatabase({ connectionString: url, embedded: false });
    try {
      return await work(db);
    } finally {
      await db.close();
    }
  };
  await withDatabase((db) => makeSegments(db, segments));
  return {
    url,
    observer,
    knex: (args, env) => startKnex(url, args, env),
    reembed: (args, env) => startReembed(url, args, env),
    withDatabase,
    async close() {
      killStarted();
      await observer.close().catch(() => undefined);
      await drop();
    },
  };
}

export async function openObserver(url: string): Promise<Observer> {
  const client = new pg.Client({ connectionString: url, application_name: 'observer' });
  // A server that is stopped on purpose must not end the test run.
  client.on('error', () => undefined);
  await client.connect();
  return {
    async query<R>(text: string, params?: readonly unknown[]) {
      const result = await client.query(text, params === undefined ? undefined : [...params]);
      return { rows: result.rows as R[], rowCount: result.rowCount ?? 0 };
    },
    close: () => client.end(),
  };
}

/**
 * An application's open transaction that has read the table: ALTER TABLE waits for it. LOCK TABLE instead of a SELECT, because a
 * snapshot, however short, is waited for by CREATE INDEX CONCURRENTLY as long as its transaction lasts.
 */
export async function openReader(url: string): Promise<Observer> {
  const reader = await openObserver(url);
  await reader.query('BEGIN');
  await reader.query('LOCK TABLE segments IN ACCESS SHARE MODE');
  return reader;
}
