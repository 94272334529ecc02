import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { clearPause, setPause } from '../../src/state/pause.ts';
import { findRecord } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { sync } from '../../src/steps/sync.ts';
import { syncPass } from '../../src/steps/sync-pass.ts';
import { closeProviders, openProviders, type SyncOptions } from '../../src/steps/sync-run.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { checksumOf, SEGMENTS, wrongVectors } from '../helpers/oracle.ts';
import { startScriptedServer } from '../helpers/scripted-server.ts';

const ROWS = 60;
const OLD = 16;
const from = { model: `hash/${OLD}`, dimensions: OLD };
const old = { provider: hashProvider(from.model) };

let chain: Chain;

beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());
beforeEach(async () => {
  await chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE; DROP TABLE IF EXISTS segments');
  await makeSegments(chain.db, { rows: ROWS, dimensions: OLD });
});

const context = (input: Parameters<Chain['context']>[0] = { from }) => chain.context(input);

async function up(ctx: MigrationContext): Promise<void> {
  for (const step of [expand, fill, cutOver]) await step(ctx);
}

/** The old vectors of rows that the application has written: those of the others are random. */
const wrongOld = (column: string, where: string): Promise<string[]> =>
  wrongVectors(chain.db, { ...SEGMENTS, table: `(SELECT * FROM segments WHERE ${where}) s` }, column, old);

async function one(sql: string): Promise<unknown> {
  return (await chain.db.query(sql)).rows[0];
}

const OWN = `array_fill(0.5::real, ARRAY[384])::vector`;

describe('after the swap, an application that writes text', () => {
  it('and empties it finds the row no longer, once sync has come by; under NOT NULL the vector has to stay', async () => {
    const ctx = context();
    await up(ctx);
    await chain.db.query(
      `UPDATE segments SET text = CASE id WHEN 1 THEN NULL WHEN 2 THEN '  ' ELSE 'other' END WHERE id <= 3`,
    );
    const vectors = async (): Promise<unknown> =>
      one(`SELECT count(embedding)::int AS vectors, count(embedding_model)::int AS marks FROM segments WHERE id <= 2`);
    expect(await vectors()).toEqual({ vectors: 2, marks: 2 });
    await sync(ctx, { once: true });
    expect(await vectors()).toEqual({ vectors: 0, marks: 0 });
    expect(await readStatus(ctx)).toMatchObject({ stale: 0, rows: { pending: 0, skipped: 2 } });
    await chain.db.query(`DELETE FROM segments WHERE id <= 2; ALTER TABLE segments ALTER COLUMN embedding SET NOT NULL;
      UPDATE segments SET text = '' WHERE id = 3`);
    expect(await sync(ctx, { once: true })).toMatchObject({ written: 0, ended: 'once' });
  });

  it('keeps its rows in sight, is told which are stale, and sync --once makes both columns current', async () => {
    const ctx = context();
    await up(ctx);
    const served = await checksumOf(chain.db, SEGMENTS, 'embedding', 'id <= 3');
    await chain.db.query(`UPDATE segments SET text = text || ' edited' WHERE id <= 3`);
    await chain.db.query(`UPDATE segments SET text = text || ' edited', embedding = ${OWN} WHERE id = 4`);
    await chain.db.query(`UPDATE segments SET voice = voice WHERE id = 5`);
    await chain.db.query(
      `INSERT INTO segments (text, embedding) VALUES ('text only', NULL), ('with a vector', ${OWN}), ('  ', NULL)`,
    );
    expect(await checksumOf(chain.db, SEGMENTS, 'embedding', 'id <= 3')).toBe(served);
    expect(await one('SELECT embedding_model AS model, embedding_hash AS hash FROM segments WHERE id = 4')).toEqual({
      model: null,
      hash: null,
    });
    expect(await readStatus(ctx)).toMatchObject({ rows: { pending: 4, skipped: 1 }, stale: 3, missingOld: 6 });
    const provider = async () => hashProvider('hash/384');
    const { checks } = await verify(ctx, { provider });
    expect(checks.find((check) => check.name === 'completeness')).toEqual({
      name: 'completeness',
      ok: false,
      detail: `${ROWS + 1} of ${ROWS + 3} rows have a vector, 1 are missing, 3 of a text that was edited since (run "reembed sync --once"), 1 has no text`,
    });

    // A write of reembed's own never pays for a call of the trigger.
    await chain.db.query(
      `CREATE OR REPLACE FUNCTION reembed."invalidate_segments-hash"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'called'; END $$`,
    );
    expect(await sync(ctx, { once: true })).toMatchObject({
      written: 4,
      writtenOld: 6,
      pending: 0,
      missingOld: 0,
      ended: 'once',
    });
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual(['4', String(ROWS + 2)]);
    expect(await one(`SELECT count(*)::int AS n FROM segments WHERE embedding = ${OWN}`)).toEqual({ n: 2 });
    expect(await wrongOld('embedding_old', `id <= 4 OR id > ${ROWS}`)).toEqual([]);
    expect(await readStatus(ctx)).toMatchObject({ rows: { pending: 0 }, stale: 0, missingOld: 0, sync: null });
    expect(await sync(ctx, { once: true })).toMatchObject({ changed: false, passes: 0 });
    // Nothing is left for the way back, which needs no old model any more.
    expect(await undoCutOver(context({}))).toMatchObject({ changed: true });
    expect(await wrongOld('embedding', `id <= 4 OR id > ${ROWS}`)).toEqual([]);
  });

  it('without the old model its rows are marked and counted, which is said once; what it cannot embed is, too', async () => {
    const ctx = context({});
    await up(ctx);
    await chain.db.query(`UPDATE segments SET text = text || ' edited' WHERE id <= 3`);
    expect(await sync(ctx, { once: true })).toMatchObject({ written: 3, writtenOld: 0, pending: 0, missingOld: 3 });
    expect(ctx.events.filter((event) => 'message' in event && /have no old vector/.test(event.message))).toHaveLength(
      1,
    );
    await expect(undoCutOver(ctx)).rejects.toMatchObject({
      code: 'old_vectors_missing',
      context: { missing: 3 },
      hint: expect.stringMatching(/"reembed sync".*"reembed init --reverse"/),
    });
    const path = join(await mkdtemp(join(tmpdir(), 'reembed-sync-')), 'old.jsonl');
    await writeFile(path, JSON.stringify({ text: 'another', vector: Array.from({ length: OLD }, (_, n) => n + 1) }));
    const unable = context({ from: { provider: 'file', model: path, dimensions: OLD } });
    await expect(sync(unable, { once: true })).resolves.toMatchObject({ pending: 0, missingOld: 3 });
    expect(unable.events).toContainEqual({
      kind: 'warning',
      message: `${path} could not embed 3 rows, which an exchange back would leave without a vector.`,
    });
    expect(await readStatus(ctx)).toMatchObject({ rows: { quarantined: 0 } });
    await rm(dirname(path), { recursive: true });
  });
});

it('a pass that is over keeps its place for the next one, and for the backfill', async () => {
  const ctx = chain.context({}, { batchRows: 10 });
  await expand(ctx);
  let looks = 0;
  const providers = openProviders(ctx);
  await syncPass(ctx, providers, { isOver: () => ++looks > 2, onSide: () => undefined });
  await closeProviders(providers);
  expect((await findRecord(ctx))?.cursor).toEqual(['20']);
  expect(await fill(ctx)).toMatchObject({ run: { written: ROWS - 20 } });
  expect(await findRecord(ctx)).toMatchObject({ cursor: null, rowsWritten: ROWS });
});

describe('a later migration of the same column', () => {
  it('is left alone by the worker of the earlier one, whose vectors have the same dimensions', async () => {
    const earlier = chain.context({}, { backup: 'none' });
    await up(earlier);
    await finalize(earlier, { now: true });
    const { rows } = await chain.db.query<{ text: string }>('SELECT text FROM segments');
    const path = join(await mkdtemp(join(tmpdir(), 'reembed-sync-')), 'next.jsonl');
    const vectorOf = (i: number) => Array.from({ length: 384 }, (_, n) => Math.sin((i + 1) * (n + 1)));
    await writeFile(path, rows.map(({ text }, i) => JSON.stringify({ text, vector: vectorOf(i) })).join('\n'));
    await up(chain.context({ id: 'segments-next', target: 'embedding_next', provider: 'file', model: path }));
    await chain.db.query(`UPDATE segments SET text = text || ' edited' WHERE id = 1`);
    const before = await checksumOf(chain.db, SEGMENTS, 'embedding');
    await expect(sync(earlier, { once: true })).rejects.toMatchObject({
      code: 'superseded',
      hint: expect.stringContaining('"segments-next"'),
    });
    expect(await checksumOf(chain.db, SEGMENTS, 'embedding')).toBe(before);
    await rm(dirname(path), { recursive: true });
  });
});

/** Runs a worker beside `work`, then stops it where it has not ended by itself. */
async function beside(
  ctx: MigrationContext,
  options: SyncOptions,
  work: (running: Promise<unknown>) => Promise<unknown>,
) {
  const stop = new AbortController();
  const running = sync({ ...ctx, signal: stop.signal }, options);
  try {
    await Promise.race([work(running), running.then(() => sleep(30_000))]);
  } finally {
    stop.abort();
  }
  return running;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let look = 0; look < 600; look++) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error(`after 30 s still not: ${what}`);
}

const current = (column: string) => async () => (await wrongVectors(chain.db, SEGMENTS, column)).length === 0;
const OWN_TRIGGERS = ['zzz_reembed_segments-hash', 'zzz_reembed_segments-hash_vector'];
const triggers = async () =>
  (
    await chain.db.query<{ n: string }>(`SELECT tgname AS n FROM pg_trigger WHERE tgname LIKE '%reembed%' ORDER BY 1`)
  ).rows.map((row) => row.n);

describe('the worker', () => {
  it('follows the migration through swap, rollback and swap, makes nobody wait for the lease, and ends with finalize', async () => {
    const ctx = context();
    await expand(ctx);
    const ended = beside(ctx, { pollMs: 100 }, async (running) => {
      await until('the backfill', current('embedding_384'));
      await chain.db.query(`UPDATE segments SET text = text || ' before' WHERE id <= 3`);
      await until('before the swap', current('embedding_384'));
      await cutOver(ctx);
      await chain.db.query(`UPDATE segments SET text = text || ' after' WHERE id BETWEEN 3 AND 5`);
      await until('after the swap', current('embedding'));
      await until('the kept column', async () => (await wrongOld('embedding_old', 'id BETWEEN 3 AND 5')).length === 0);
      await undoCutOver(ctx);
      await chain.db.query(`INSERT INTO segments (text) VALUES ('while undone')`);
      await until('after going back', current('embedding_384'));
      await cutOver(ctx);
      await until('a look', async () => (await readStatus(ctx)).sync?.alive === true);
      await finalize(ctx, { now: true });
      await running;
    });
    expect(await ended).toMatchObject({ ended: 'finalized', pending: 0 });
    expect(await triggers()).toEqual([]);
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
    expect((await readStatus(ctx)).sync).toBeNull();
  });

  it('leaves the lease to others while the migration is paused, also where a pass has just begun', async () => {
    const ctx = context();
    await up(ctx);
    await chain.db.query(`UPDATE segments SET text = text || ' edited' WHERE id <= 3`);
    await setPause(chain.db, 'reembed', ctx.definition.id, 'ann@db1');
    const providers = openProviders(ctx);
    const ends = performance.now() + 300;
    await syncPass(ctx, providers, { isOver: () => performance.now() > ends, onSide: () => undefined });
    await closeProviders(providers);
    await beside(ctx, { pollMs: 100 }, async () => {
      const problem = async () => (await readStatus(ctx)).sync?.problem ?? '';
      await until('the pause is told', async () => (await problem()).startsWith('Paused by ann@db1'));
      expect(await readStatus(ctx)).toMatchObject({ lease: null, stale: 3 });
      await clearPause(chain.db, 'reembed', ctx.definition.id);
      await until(
        'both columns',
        async () => (await readStatus(ctx)).missingOld === 0 && (await current('embedding')()),
      );
    });
  });

  it('waits out a service that is down, says so, and goes on', async () => {
    const server = await startScriptedServer({ dimensions: 384, key: 'sk-test' });
    const cacheDir = await mkdtemp(join(tmpdir(), 'reembed-sync-'));
    const env = { EMBEDDING_BASE_URL: server.urls.openai, EMBEDDING_API_KEY: 'sk-test', REEMBED_MAX_RETRIES: '1' };
    const { remote, maxRetries } = loadRuntimeSettings(env);
    const service = { provider: 'openai', model: 'BAAI/bge-small-en-v1.5' } as const;
    const ctx = chain.context(service, { remote, maxRetries, cacheDir });
    await expand(ctx);
    server.rule = () => ({ kind: 'status', status: 503 });
    await beside(ctx, { pollMs: 100 }, async () => {
      await until('the outage is told', async () => (await readStatus(ctx)).sync?.problem?.includes('503') === true);
      server.rule = undefined;
      const right = { provider: hashProvider('hash/384'), minCosine: 0.9999 };
      await until(
        'all rows',
        async () => (await wrongVectors(chain.db, SEGMENTS, 'embedding_384', right)).length === 0,
      );
    });
    expect(ctx.events).toContainEqual({
      kind: 'warning',
      message: expect.stringMatching(/503.*tried again until it works/),
    });
    await server.close();
    await rm(cacheDir, { recursive: true });
  });

  it('is woken by the writers, also after its connection was lost, and leaves nothing behind', async ({ skip }) => {
    skip(chain.db.embedded, 'one session for all connections');
    const ctx = context();
    await up(ctx);
    const hour = 3_600_000;
    const edit = (word: string) => chain.db.query(`UPDATE segments SET text = text || $1 WHERE id = 7`, [` ${word}`]);
    const result = await beside(ctx, { pollMs: hour, notify: true }, async () => {
      const listening = async () => (await readStatus(ctx)).sync !== null;
      await until('the first look', listening);
      const client = await chain.db.openSession();
      // Only another application's statements wake it.
      await client.query(`SET application_name = 'app'`);
      const listeners = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'`;
      await until('LISTEN', async () => (await chain.db.query(listeners)).rows.length === 1);
      await client.query(`UPDATE segments SET text = text || ' woken' WHERE id = 7`);
      await until('woken', current('embedding'));
      await until('the kept column', async () => (await wrongOld('embedding_old', 'id = 7')).length === 0);
      expect(await triggers()).toEqual([OWN_TRIGGERS[0], 'zzz_reembed_segments-hash_notify', OWN_TRIGGERS[1]]);
      await client.close();
    });
    expect(result.ended).toBe('stopped');
    expect(await triggers()).toEqual(OWN_TRIGGERS);
    await edit('unseen');
    const lost = await beside(ctx, { pollMs: 300, notify: true }, async () => {
      const listeners = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'`;
      await until('LISTEN', async () => (await chain.db.query(listeners)).rows.length === 1);
      await until('LISTEN again', async () => (await chain.db.query(listeners)).rows.length === 1);
      await until('caught up', current('embedding'));
    });
    expect(lost).toMatchObject({ ended: 'stopped', pending: 0 });
  });
});
