import pg from 'pg';
import { openDatabase } from '../../src/db/database.ts';
import type { ConnectionSettings, Database, Queryable } from '../../src/db/types.ts';
import { makeSegments, type SegmentsOptions } from './chain.ts';
import { databaseUrl, killStarted, type Running, startKnex, startReembed } from './fault-process.ts';
import { createTestDatabase } from './test-database.ts';

/** A client that reembed's own sessions can be told from: it watches, locks and cancels as an application or an operator would. */
export interface Observer extends Queryable {
  close(): Promise<void>;
}

/** A database with `segments` in it, an observer, and the commands that are to be broken. */
export interface FaultBed {
  readonly settings: ConnectionSettings;
  readonly observer: Observer;
  knex(args: readonly string[], env?: Readonly<Record<string, string>>): Running;
  reembed(args: readonly string[], env?: Readonly<Record<string, string>>): Running;
  /** reembed's own connection for the time of `work`: the oracle's reading, a direct call. */
  withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export async function openFaultBed(segments: SegmentsOptions): Promise<FaultBed> {
  const database = await createTestDatabase();
  const { settings } = database;
  const observer = await openObserver(settings);
  const withDatabase = async <T>(work: (db: Database) => Promise<T>): Promise<T> => {
    const db = openDatabase(settings);
    try {
      return await work(db);
    } finally {
      await db.close();
    }
  };
  await withDatabase((db) => makeSegments(db, segments));
  return {
    settings,
    observer,
    knex: (args, env) => startKnex(settings, args, env),
    reembed: (args, env) => startReembed(settings, args, env),
    withDatabase,
    async close() {
      killStarted();
      await observer.close();
      await database.drop();
    },
  };
}

export async function openObserver(settings: ConnectionSettings): Promise<Observer> {
  const client = new pg.Client({ connectionString: databaseUrl(settings), application_name: 'observer' });
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
