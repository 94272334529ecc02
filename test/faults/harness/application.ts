import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Queryable, transactionsOf, withActiveModel } from '../../../src/index.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import { createRandom } from '../../helpers/fault-random.ts';
import type { Book } from './book.ts';
import { searchOnce } from './read.ts';
import { actOnce } from './write.ts';

/**
 * `aware` goes through the public search client and writes text and vector of the active model together, under NOT NULL when
 * `strict`; `text-only` knows nothing of vectors.
 */
export type Habits = 'aware' | 'strict' | 'text-only';

export const OLD_MODEL = 'hash/16';
export const NEW_MODEL = 'hash/384';
const encoders = {
  old: async (texts: readonly string[]) => (await hashProvider(OLD_MODEL).embed(texts, { kind: 'document' })).vectors,
  new: async (texts: readonly string[]) => (await hashProvider(NEW_MODEL).embed(texts, { kind: 'document' })).vectors,
};

export interface ApplicationOptions {
  readonly url: string;
  readonly seed: number;
  readonly habits: Habits;
  /** Clients that write, each rows of its own. */
  readonly clients: number;
  /** Milliseconds between two operations of a client. */
  readonly pauseMs: number;
}

/** The application's connection, and how it uses the active model. */
export interface Connection {
  readonly habits: Habits;
  readonly book: Book;
  /** One request: a transaction of the search client, or a single statement of the pool. */
  request<T>(work: (request: Request) => Promise<T>): Promise<T>;
}

export interface Request {
  readonly db: Queryable;
  /** The active model's vector of a text, NULL for a blank one; undefined where the application writes no vectors. */
  readonly encode: ((text: string | null) => Promise<string | null>) | undefined;
}

export interface Application {
  readonly book: Book;
  /** Nothing is written meanwhile. */
  pause<T>(work: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

/** Begins to write and to search, and does so until it is stopped. The rows that are there must be in the book. */
export async function startApplication(options: ApplicationOptions, book: Book): Promise<Application> {
  const { url, seed, habits, clients, pauseMs } = options;
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'application',
    max: clients + 1,
    // What a fault sets for the workers' database is not meant for this role.
    options: '-c statement_timeout=0 -c lock_timeout=0',
  });
  pool.on('error', () => undefined);
  const connection = { habits, book, request: requestsOf(pool, habits) };
  let stopped = false;
  let resting: Promise<void> | undefined;
  const busy = new Set<Promise<void>>();
  async function repeat(act: () => Promise<void>, pause: number): Promise<void> {
    while (!stopped) {
      await resting;
      const running = act().catch((error: unknown) => book.note('bug of the harness', error));
      busy.add(running);
      await running;
      busy.delete(running);
      await sleep(pause);
    }
  }
  const owners = Array.from({ length: clients }, (_, owner) => owner);
  const working = owners.map((owner) => {
    const random = createRandom(seed + owner);
    const mine = [...book.rows.keys()].filter((ref) => ref.startsWith(`${owner}-`));
    const state = { owner, random, mine, next: 1_000_000 * (owner + 1) };
    return repeat(() => actOnce(connection, state), pauseMs);
  });
  const reader = createRandom(seed + clients);
  working.push(repeat(() => searchOnce(connection, reader), 15));
  return {
    book,
    async pause(work) {
      let go = (): void => undefined;
      resting = new Promise((resolve) => {
        go = resolve;
      });
      try {
        await Promise.all(busy);
        return await work();
      } finally {
        resting = undefined;
        go();
      }
    },
    async stop() {
      stopped = true;
      await Promise.all(working);
      await pool.end();
    },
  };
}

function requestsOf(pool: pg.Pool, habits: Habits): Connection['request'] {
  if (habits === 'text-only') {
    const db: Queryable = {
      async query<R>(text: string, params: readonly unknown[] = []) {
        const { rows, rowCount } = await pool.query(text, [...params]);
        return { rows: rows as R[], rowCount: rowCount ?? 0 };
      },
    };
    return (work) => work({ db, encode: undefined });
  }
  const migration = { id: 'segments-bge-small', column: 'embedding' };
  const source = transactionsOf(pool);
  return (work) =>
    withActiveModel(source, { migration, encoders }, ({ db, encode }) =>
      work({ db, encode: async (text) => (isBlank(text) ? null : encode(text, 'document')) }),
    );
}

export function isBlank(text: string | null): text is null {
  return text === null || text.trim() === '';
}
