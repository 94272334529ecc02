// The clients of bench/swap: most of them ask through `withActiveModel`, every fifth by raw SQL that learns of the swap from an error.
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '../src/db/database.ts';
import type { Database } from '../src/db/types.ts';
import { messageOf } from '../src/errors.ts';
import { hashProvider } from '../src/providers/hash.ts';
import { type EncodeTexts, withActiveModel } from '../src/search/active-model.ts';
import type { ClientsSetup, Request } from './swap-clients.ts';

/** Between two requests of a client, so that clients wait for the database and not for each other. */
const PAUSE_MS = 15;
const RAW_EVERY = 5;

let log: Request[] = [];
let isStopped = false;
let running: Promise<unknown> = Promise.resolve();
let database: Database | undefined;

process.on('message', (message: { kind: string; setup: ClientsSetup }) => {
  void answer(message).then((reply) => process.send?.(reply));
});

async function answer({ kind, setup }: { kind: string; setup: ClientsSetup }): Promise<unknown> {
  if (kind === 'setup') {
    database = openDatabase({ connectionString: setup.url, embedded: false }, { maxConnections: setup.clients });
    running = Promise.all(Array.from({ length: setup.clients }, (_, i) => client(database as Database, setup, i)));
    // Connections are made and plans cached before anything is measured.
    await sleep(1_000);
  }
  if (kind === 'begin') log = [];
  if (kind === 'end') return log;
  if (kind === 'stop') {
    isStopped = true;
    await running;
    await database?.close();
  }
  return kind;
}

async function client(db: Database, setup: ClientsSetup, number: number): Promise<void> {
  const raw = number % RAW_EVERY === RAW_EVERY - 1;
  const ask = raw ? rawClient(db, setup) : searchClient(db, setup);
  for (let i = number; !isStopped; i++) {
    const at = performance.timeOrigin + performance.now();
    const error = await ask(i).then(() => undefined, messageOf);
    log.push({ began: at, took: performance.timeOrigin + performance.now() - at, raw, error });
    await sleep(PAUSE_MS * (0.5 + Math.random()));
  }
}

type Ask = (i: number) => Promise<unknown>;

/** Of ten requests two search, one writes, the others read a row by its key. */
function kindOf(i: number): 'search' | 'write' | 'read' {
  return i % 5 === 0 ? 'search' : i % 10 === 3 ? 'write' : 'read';
}

function searchClient(db: Database, { table, rows, migration, models, stateSchema }: ClientsSetup): Ask {
  const [old, fresh] = models.map((model): EncodeTexts => {
    const provider = hashProvider(model);
    return async (texts, { kind }) => (await provider.embed([...texts], { kind })).vectors;
  });
  if (old === undefined || fresh === undefined) throw new RangeError('two models');
  return (i) =>
    withActiveModel(
      db,
      { migration, stateSchema, encoders: { old, new: fresh } },
      async ({ column, encode, db: tx }) => {
        const id = 1 + Math.floor(Math.random() * rows);
        if (kindOf(i) === 'read') return tx.query(`SELECT id, text, ${column}::text FROM ${table} WHERE id = $1`, [id]);
        if (kindOf(i) === 'search') {
          const vector = await encode(`question ${i}`);
          return tx.query(`SELECT id FROM ${table} ORDER BY ${column} <=> $1::vector LIMIT 10`, [vector]);
        }
        const text = `edited ${i} ${id}`;
        const vector = await encode(text, 'document');
        return tx.query(`UPDATE ${table} SET text = $2, ${column} = $3::vector WHERE id = $1`, [id, text, vector]);
      },
    );
}

/** Its model is what it was deployed with; after an error it is deployed again with the other one. */
function rawClient(db: Database, { table, rows, migration, models }: ClientsSetup): Ask {
  const providers = models.map(hashProvider);
  let deployed = 0;
  return async (i) => {
    const id = 1 + Math.floor(Math.random() * rows);
    if (kindOf(i) !== 'search') return db.query(`SELECT id, text FROM ${table} WHERE id = $1`, [id]);
    const { vectors } = (await providers[deployed]?.embed([`question ${i}`], { kind: 'query' })) ?? { vectors: [] };
    const sql = `SELECT id FROM ${table} ORDER BY "${migration.column}" <=> $1::vector LIMIT 10`;
    return db.query(sql, [`[${vectors[0]?.join(',') ?? ''}]`]).catch((error: unknown) => {
      deployed = 1 - deployed;
      throw error;
    });
  };
}
