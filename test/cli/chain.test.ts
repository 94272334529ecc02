import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { startEmbedded } from '../../src/db/embedded.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/test-database.ts';
import { MIGRATIONS, ROOT, runCli } from './run-cli.ts';

const ROWS = 40;

/** Undefined on the embedded database, which every command starts for itself. */
let server: TestDatabase | undefined;
let directory: string;
let env: Record<string, string>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reembed-chain-'));
  server = inject('postgresUrl') === undefined ? undefined : await createTestDatabase();
  env = {
    DATABASE_URL: server?.url ?? 'embedded',
    REEMBED_DATA_DIR: join(directory, 'data'),
    REEMBED_BACKUP: join(directory, 'backups'),
    REEMBED_GATE: 'off',
    EMBEDDING_MODEL: 'hash/384',
    EMBEDDING_OLD_MODEL: 'hash/16',
  };
  await onDatabase(async (query) => {
    await query('CREATE TABLE segments (id bigserial PRIMARY KEY, text text, embedding vector(16))');
    await query(`INSERT INTO segments (text, embedding)
      SELECT 'passage ' || i || ' about topic ' || (i % 7), (SELECT array_agg(0.1 + random()) FROM generate_series(1, 16) WHERE i > 0)::vector
      FROM generate_series(1, ${ROWS}) i`);
    await query(
      'CREATE INDEX idx_segments_text_embedding_ivfflat ON segments USING ivfflat (embedding vector_cosine_ops) WITH (lists = 1)',
    );
  });
});
afterAll(async () => {
  await server?.drop();
  await rm(directory, { recursive: true });
});

/** The commands are processes of their own and want an embedded data directory for themselves. */
async function onDatabase<T>(
  work: (query: (sql: string) => Promise<Record<string, unknown>[]>) => Promise<T>,
): Promise<T> {
  const embedded = server === undefined ? await startEmbedded({ dataDir: env.REEMBED_DATA_DIR ?? '' }) : undefined;
  const settings = embedded?.settings ?? server?.settings;
  if (settings === undefined) throw new Error('neither a server nor an embedded database');
  const db = openDatabase(settings);
  try {
    return await work(async (sql) => (await db.query(sql)).rows);
  } finally {
    await db.close();
    await embedded?.stop();
  }
}

/** Runs a command that must do its work; the document of `--json`, or what it printed. */
async function reembed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args, { env });
  expect(code, `reembed ${args.join(' ')}\n${stderr}${stdout}`).toBe(0);
  return stdout;
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await reembed(...args, '--json')) as Record<string, unknown>;
}

describe('one migration from the command line', () => {
  test('plan and doctor look without touching', async () => {
    const plan = await json('plan');
    expect(plan).toMatchObject({ table: 'public.segments', rows: ROWS, from: 'vector(16)', to: 'vector(384)' });
    expect(await reembed('plan', '--sql')).toContain('ADD COLUMN "embedding_384"');
    const doctor = await json('doctor', '--no-probe', '--full', '--seed', '5');
    expect(doctor).toMatchObject({ ok: true, full: true, seed: 5 });
    expect(doctor.checks).toContainEqual({
      name: 'provider',
      result: 'unknown',
      detail: 'it was not asked: --no-probe',
    });
    // After what the version of pgvector under test is known for.
    expect((doctor.findings as readonly unknown[]).at(-1)).toMatchObject({
      code: 'environment_overrides',
      severity: 'warning',
    });
    expect(await json('status')).toMatchObject({ phase: 'none', active: 'old', rows: { total: ROWS, done: 0 } });
    const text = await reembed('status');
    expect(text).toMatch(/^Phase +none$/m);
    expect(text).toMatch(/^Index +idx_segments_text_embedding_ivfflat \(ivfflat\) on embedding$/m);
  });

  test('a verb that comes too early says which one comes first', async () => {
    for (const verb of ['backfill', 'swap', 'verify']) {
      const { code, stderr } = await runCli([verb], { env });
      expect(code, verb).toBe(1);
      expect(stderr, verb).toMatch(/migrate:up|reembed up/);
    }
  });

  test('up --to 005 runs that one, in the ledger that npx knex reads', async () => {
    expect(await json('up', '--to', '005')).toEqual({
      direction: 'up',
      migrations: [{ name: MIGRATIONS[0], outcome: 'done' }],
    });
    expect(await reembed('up', '--to', '005')).toBe('Nothing to do: no migration is pending.\n');
    const ledger = await onDatabase((query) => query('SELECT name FROM knex_migrations ORDER BY id'));
    expect(ledger).toEqual([{ name: MIGRATIONS[0] }]);
    expect(await json('status')).toMatchObject({ phase: 'expanded', rows: { done: 0, pending: ROWS } });
  });

  test('pause and resume say what holds and what comes next', async () => {
    expect(await reembed('pause')).toMatch(
      /^Paused by .+ since .+\. Nobody is at work now; "reembed resume" goes on\.$/m,
    );
    expect(await reembed('status')).toMatch(/^Paused +by .+ since .+: "reembed resume" goes on$/m);
    expect(await json('resume')).toEqual({ changed: true, holder: null });
  });

  test('backfill embeds every row, with progress on stderr only', async () => {
    const { code, stdout, stderr } = await runCli(['backfill', '--pace', '0.9'], { env });
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(`${ROWS} of ${ROWS} rows embedded, 0 pending`);
    expect(stderr).toMatch(/reembed: .+rows/);
    expect(stdout).not.toContain('reembed:');
    expect(await reembed('backfill')).toContain('Nothing to do');
    expect(await json('status')).toMatchObject({ phase: 'backfilled', rows: { done: ROWS, pending: 0 } });
  });

  test('up runs what is left', async () => {
    const { migrations } = await json('up');
    expect(migrations).toEqual(MIGRATIONS.slice(1).map((name) => ({ name, outcome: 'done' })));
    const status = await json('status');
    expect(status).toMatchObject({ phase: 'swapped', active: 'new', column: 'embedding', keptColumn: 'embedding_old' });
    expect(status.indexes).toContainEqual(
      expect.objectContaining({ name: 'idx_segments_text_embedding_ivfflat', column: 'embedding', valid: true }),
    );
    expect(await reembed('swap')).toBe('Nothing to do: embedding holds the new vectors.\n');
  });

  test('verify embeds rows again, and finds a vector that was put in place of another', async () => {
    expect(await json('verify', '--seed', '7')).toMatchObject({ ok: true, seed: 7, column: 'embedding' });
    expect(await reembed('verify')).toContain('Verified: public.segments.embedding');
    const swap = 'UPDATE segments a SET embedding = b.embedding FROM segments b WHERE';
    await onDatabase((query) => query(`${swap} (a.id, b.id) IN ((1, 2), (2, 1))`));
    const { code, stdout } = await runCli(['verify', '--full'], { env });
    expect(code).toBe(1);
    expect(stdout).toMatch(/FAIL {2}embedded again.*1, 2/);
    await onDatabase((query) => query(`${swap} (a.id, b.id) IN ((1, 2), (2, 1))`));
    await reembed('verify', '--full');
  });

  test('search finds a passage by its own words, on either side', async () => {
    const query = 'passage 17 about topic 3';
    const found = await json('search', query, '--limit', '3');
    expect(found).toMatchObject({ query, side: 'new', column: 'embedding' });
    expect(found.hits).toHaveLength(3);
    expect(found.hits).toMatchObject([{ key: ['17'] }, {}, {}]);
    expect(await json('search', query, '--side', 'old', '--exact')).toMatchObject({
      side: 'old',
      column: 'embedding_old',
    });
    expect((await reembed('search', query)).split('\n')[0]).toMatch(/^1\.0000 {2}17 {2}passage 17/);
  });

  test('rollback goes back, swap forth again', async () => {
    expect(await reembed('rollback')).toContain('reads the old vectors again');
    expect(await json('status')).toMatchObject({ phase: 'backfilled', active: 'old' });
    expect(await reembed('rollback')).toContain('Nothing to do');
    expect(await reembed('swap')).toContain('embedding holds the new vectors');
  });

  test('backup and restore give the vectors back byte for byte', async () => {
    const bytes = 'SELECT md5(string_agg(vector_send(embedding)::text, id::text ORDER BY id)) AS sum FROM segments';
    const before = await onDatabase((query) => query(bytes));
    const saved = await json('backup', '--side', 'new');
    expect(saved).toMatchObject({ rows: ROWS, column: 'embedding' });
    await onDatabase((query) =>
      query(`UPDATE segments SET embedding = '[${Array(384).fill(1).join(',')}]' WHERE id <= 10`),
    );
    expect(await onDatabase((query) => query(bytes))).not.toEqual(before);
    expect(await reembed('restore', String(saved.path), '--dry-run')).toContain('would be restored');
    expect(await onDatabase((query) => query(bytes))).not.toEqual(before);
    await reembed('restore', String(saved.path));
    expect(await onDatabase((query) => query(bytes))).toEqual(before);
  });

  test('down undoes the last, and --to all down to one', async () => {
    expect(await json('down')).toEqual({ direction: 'down', migrations: [{ name: MIGRATIONS[2], outcome: 'done' }] });
    const { migrations } = await json('down', '--to', 'add_embedding_384');
    expect(migrations).toEqual([1, 0].map((at) => ({ name: MIGRATIONS[at], outcome: 'done' })));
    expect(await json('status')).toMatchObject({ phase: 'none', active: 'old' });
    expect(await reembed('down')).toBe('Nothing to do: no migration is completed.\n');
    const columns = await onDatabase((query) =>
      query(
        `SELECT attname FROM pg_attribute WHERE attrelid = 'segments'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      ),
    );
    expect(columns.map(({ attname }) => attname)).toEqual(['id', 'text', 'embedding']);
  });

  test('finalize drops the old column after a backup, early only with --now', async () => {
    await reembed('up');
    const early = await runCli(['finalize'], { env });
    expect(early.code).toBe(1);
    expect(early.stderr).toContain('--now');
    expect(await reembed('finalize', '--now')).toContain('The old column is dropped.');
    expect((await readdir(join(directory, 'backups'))).length).toBeGreaterThan(0);
    expect(await json('status')).toMatchObject({ phase: 'finalized', keptColumn: null });
    const { code, stderr } = await runCli(['down'], { env });
    expect(code).toBe(1);
    expect(stderr).toContain('reembed restore');
  });
});

test('an unknown migration is told with those that there are', async () => {
  const { code, stderr } = await runCli(['up', '--to', '099'], { env });
  expect(code).toBe(2);
  expect(stderr).toContain(`No migration is named "099"; there are ${MIGRATIONS.join(', ')}.`);
});

test('a failed migration leaves a report of the whole chain', async () => {
  const empty = server === undefined ? undefined : await createTestDatabase();
  const other = { ...env, REEMBED_DATA_DIR: join(directory, 'empty'), ...(empty && { DATABASE_URL: empty.url }) };
  const { code, stdout } = await runCli(['up', '--json'], { env: other });
  await empty?.drop();
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    error: { code: 'table_missing' },
    migrations: [
      { name: MIGRATIONS[0], outcome: 'failed' },
      { name: MIGRATIONS[1], outcome: 'not run' },
      { name: MIGRATIONS[2], outcome: 'not run' },
    ],
  });
});

test('the models on this machine are listed and verified', async () => {
  const { models } = await json('model', 'list');
  expect(models).toContainEqual(
    expect.objectContaining({ name: 'sentence-transformers/all-MiniLM-L6-v2', dimensions: 384, bundled: true }),
  );
  expect(await reembed('model', 'verify', 'sentence-transformers/all-MiniLM-L6-v2')).toContain('as in its manifest');
  const { code, stderr } = await runCli(['model', 'verify', join(ROOT, 'docs')], { env });
  expect(code).toBe(1);
  expect(stderr).toContain('docs');
});
