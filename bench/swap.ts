// What 20 clients notice of a swap: the slowest query while the columns are exchanged, and failed requests.
//   DATABASE_URL=postgres://… npm run bench:swap -- [--rows 100000] [--swaps 10] [--reader-seconds 60] [--reader-swaps 2] [--naive] [--quick]
// Clients read by key, search and write through `withActiveModel`; every fifth uses raw SQL that knows nothing of the swap and is counted apart.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { percentile } from '../src/bench/statistics.ts';
import { loadRuntimeSettings, requireDatabaseUrl } from '../src/config/runtime.ts';
import { BusyError } from '../src/errors.ts';
import type { ProgressEvent } from '../src/progress.ts';
import { hashProvider } from '../src/providers/hash.ts';
import { cutOver } from '../src/steps/cut-over.ts';
import { fill } from '../src/steps/fill.ts';
import { undoCutOver } from '../src/steps/undo-cut-over.ts';
import { benchMigration, openMigrationBed, readCorpus, repeatCorpus } from './migration-bed.ts';
import { type Request, type SwapClients, startSwapClients } from './swap-clients.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    swaps: { type: 'string', default: '10' },
    clients: { type: 'string', default: '20' },
    'reader-seconds': { type: 'string', default: '60' },
    /** Exchanges behind the reader; each takes its seconds. */
    'reader-swaps': { type: 'string', default: '2' },
    naive: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
  },
});
const { quick } = values;
const rows = quick ? 2_000 : Number(values.rows);
const swaps = quick ? 2 : Number(values.swaps);
const readerSeconds = quick ? 2 : Number(values['reader-seconds']);
const readerSwaps = quick ? 2 : Number(values['reader-swaps']);
const TEXT_BYTES = 330;
const OLD = 'hash/256';
const OLD_DIMENSIONS = 256;
const NEW = 'hash/384';

/** One exchange: what was asked while it happened, and in all of 007 with its index. */
interface Seen {
  readonly exchange: readonly Request[];
  readonly whole: readonly Request[];
}

const pinned = benchMigration(NEW, 384);
const definition = {
  ...pinned,
  index: { ...pinned.index, kind: 'ivfflat' as const, lists: 100 },
  from: { provider: 'hash' as const, model: OLD, dimensions: OLD_DIMENSIONS },
};
let exchangeBegan = Number.NaN;
const bed = await openMigrationBed();
const ctx = bed.context(definition, {
  onProgress(event: ProgressEvent) {
    if (event.kind === 'step' && event.message.startsWith('Exchanging')) exchangeBegan = now();
  },
});
try {
  await measure();
} finally {
  await bed.close();
}
process.exit(0);

async function measure(): Promise<void> {
  const texts = repeatCorpus(await readCorpus(), rows, TEXT_BYTES);
  const { target, record } = await bed.prepare(definition, texts, OLD_DIMENSIONS);
  const table = `"${target.schema}"."${target.table}"`;
  await fillOldColumn(table);
  await fill(ctx);
  const clients = await startSwapClients({
    url: requireDatabaseUrl(loadRuntimeSettings()),
    table,
    rows,
    clients: Number(values.clients),
    stateSchema: ctx.runtime.stateSchema,
    migration: { id: record.id, column: record.column },
    models: [OLD, NEW],
  });
  try {
    console.log(`## ${rows.toLocaleString('en-US')} rows, ${values.clients} clients\n`);
    console.log(
      '| | exchanges | slowest query of each: p50 | p99 | max | all queries: p50 | p99 | slowest in all of 007 | failed: client | raw SQL |',
    );
    console.log('|---|---|---|---|---|---|---|---|---|---|');
    const quiet = await clients.during(() => sleep(quick ? 1_000 : 10_000));
    report('nothing happens, 10 s', [{ exchange: quiet, whole: quiet }]);
    report('reembed', await repeat(swaps, (i) => exchangeOnce(clients, i)));
    report(
      `reembed, behind a reader of ${readerSeconds} s`,
      await repeat(readerSwaps, (i) => behindReader(clients, table, swaps + i)),
    );
    if (!values.naive) return;
    if ((swaps + readerSwaps) % 2 === 1) await undoCutOver(ctx);
    const naive = await clients.during(() => swapNaively(table, record.target));
    report('naive: one transaction, its index within, no lock_timeout', [{ exchange: naive, whole: naive }]);
  } finally {
    await clients.stop();
  }
}

async function repeat(times: number, run: (i: number) => Promise<Seen>): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (let i = 0; i < times; i++) seen.push(await run(i));
  return seen;
}

/** Swap and rollback by turns: both are the same exchange. */
async function exchangeOnce(clients: SwapClients, i: number): Promise<Seen> {
  exchangeBegan = now();
  const whole = await clients.during(async () => {
    await untilLocked(i % 2 === 0 ? () => cutOver(ctx) : () => undoCutOver(ctx));
    // Requests that waited for the exchange are over a moment after it.
    await sleep(300);
  });
  return { whole, exchange: whole.filter(({ began, took }) => began + took >= exchangeBegan) };
}

/** Behind a long reader it gives up after a minute and is run again, as an operator would. */
async function untilLocked(run: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await run();
      return;
    } catch (error) {
      if (!(error instanceof BusyError && error.code === 'table_locked')) throw error;
    }
  }
}

/** A transaction that has read the table and stays open: nobody can lock the table for so long. */
async function behindReader(clients: SwapClients, table: string, i: number): Promise<Seen> {
  const reader = await bed.db.openSession();
  await reader.query('SET idle_in_transaction_session_timeout = 0');
  await reader.query('BEGIN');
  await reader.query(`SELECT 1 FROM ${table} LIMIT 1`);
  const ended = sleep(readerSeconds * 1_000).then(() => reader.query('COMMIT'));
  const seen = await exchangeOnce(clients, i);
  await ended;
  await reader.close();
  return seen;
}

/** What a migration without care does; taken back at its end, which costs its clients the same. */
async function swapNaively(table: string, target: string): Promise<void> {
  const session = await bed.db.openSession();
  await session.query('BEGIN');
  await session.query(`ALTER TABLE ${table} RENAME COLUMN embedding TO embedding_naive`);
  await session.query(`CREATE INDEX ON ${table} USING ivfflat ("${target}" vector_cosine_ops) WITH (lists = 100)`);
  await session.query('ROLLBACK');
  await session.close();
  await sleep(300);
}

async function fillOldColumn(table: string): Promise<void> {
  const provider = hashProvider(OLD);
  const { rows: all } = await bed.db.query<{ id: string; text: string }>(`SELECT id, text FROM ${table} ORDER BY id`);
  for (let i = 0; i < all.length; i += 1_000) {
    const part = all.slice(i, i + 1_000);
    const { vectors } = await provider.embed(
      part.map(({ text }) => text),
      { kind: 'document' },
    );
    await bed.db.query(
      `UPDATE ${table} t SET embedding = u.v::vector FROM unnest($1::bigint[], $2::text[]) u(id, v) WHERE t.id = u.id`,
      [part.map(({ id }) => id), vectors.map((vector) => `[${vector.join(',')}]`)],
    );
  }
  await bed.db.query(`CREATE INDEX ON ${table} USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100)`);
  await bed.db.query(`VACUUM ANALYZE ${table}`);
}

function report(what: string, seen: readonly Seen[]): void {
  const slowest = (requests: readonly Request[]): number => Math.max(...requests.map(({ took }) => took));
  const worst = seen.map(({ exchange }) => slowest(exchange));
  const all = seen.flatMap(({ exchange }) => exchange.map(({ took }) => took));
  const share = (raw: boolean): string => {
    const asked = seen.flatMap(({ whole }) => whole.filter((request) => request.raw === raw));
    return `${asked.filter(({ error }) => error !== undefined).length} of ${asked.length.toLocaleString('en-US')}`;
  };
  const figures = [
    percentile(worst, 0.5),
    percentile(worst, 0.99),
    Math.max(...worst),
    percentile(all, 0.5),
    percentile(all, 0.99),
  ];
  const whole = Math.max(...seen.map((each) => slowest(each.whole)));
  console.log(`| ${[what, seen.length, ...[...figures, whole].map(ms), share(false), share(true)].join(' | ')} |`);
  const errors = new Set(
    seen.flatMap((each) => each.whole.flatMap(({ raw, error }) => (raw || error === undefined ? [] : [error]))),
  );
  for (const error of errors) console.error(`failed through the client: ${error}`);
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

/** The wall clock of both processes, in milliseconds and parts of them. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
