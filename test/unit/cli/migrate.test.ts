import { expect, test } from 'vitest';
import { type Direction, migrate } from '../../../src/cli/migrate.ts';
import type { Ledger } from '../../../src/db/knex-ledger.ts';

type Steps = Pick<Ledger, 'list' | 'up' | 'down'>;

const NAMES = [
  '004_users.ts',
  '005_add_embedding_384.ts',
  '006_backfill_embedding_384.ts',
  '20270101_add_embedding.js',
];

/** A ledger in memory that fails at one name. */
function ledgerOf(done: number, failing?: string): Steps & { readonly state: () => readonly string[] } {
  let completed = NAMES.slice(0, done);
  const step = (name: string | undefined, next: readonly string[]): Promise<string | undefined> => {
    if (name !== undefined && name === failing) return Promise.reject(new Error(`${name} broke`));
    completed = [...next];
    return Promise.resolve(name);
  };
  return {
    state: () => completed,
    list: () => Promise.resolve({ completed, pending: NAMES.slice(completed.length) }),
    up: () => step(NAMES[completed.length], NAMES.slice(0, completed.length + 1)),
    down: () => step(completed.at(-1), completed.slice(0, -1)),
  };
}

function run(ledger: Steps, direction: Direction, to?: string, signal = new AbortController().signal) {
  return migrate({ ledger, direction, to, signal, onMigration: () => undefined });
}

test.each([
  ['005', 2],
  ['005_add_embedding_384', 2],
  ['005_add_embedding_384.ts', 2],
  ['backfill_embedding_384', 3],
  ['add_embedding', 4],
  [undefined, 4],
])('up to %s leaves %i done', async (to, done) => {
  const ledger = ledgerOf(0);
  await run(ledger, 'up', to);
  expect(ledger.state()).toEqual(NAMES.slice(0, done));
});

test.each([
  [undefined, 3],
  ['006', 2],
  ['005', 1],
])('down to %s leaves %i done', async (to, done) => {
  const ledger = ledgerOf(4);
  await run(ledger, 'down', to);
  expect(ledger.state()).toEqual(NAMES.slice(0, done));
});

test('up to what is done and down to what is not do nothing', async () => {
  expect((await run(ledgerOf(2), 'up', '005')).migrations).toEqual([]);
  expect((await run(ledgerOf(2), 'down', '006')).migrations).toEqual([]);
});

test.each(['7', '00', 'embedding_384'])('"%s" names none or several, and nothing runs', async (to) => {
  const ledger = ledgerOf(0);
  await expect(run(ledger, 'up', to)).rejects.toMatchObject({ code: 'migration_file_unknown' });
  expect(ledger.state()).toEqual([]);
});

test('a failure keeps what was done and tells what was not run', async () => {
  const result = await run(ledgerOf(0, NAMES[1]), 'up', '006');
  expect(result.migrations.map(({ outcome }) => outcome)).toEqual(['done', 'failed', 'not run']);
  expect(result.failure).toMatchObject({ message: `${NAMES[1]} broke` });
});

test('an interruption before a migration does not begin it', async () => {
  const controller = new AbortController();
  controller.abort();
  const ledger = ledgerOf(1);
  const result = await run(ledger, 'up', undefined, controller.signal);
  expect(result.failure).toMatchObject({ name: 'InterruptedError' });
  expect(ledger.state()).toEqual(NAMES.slice(0, 1));
});
