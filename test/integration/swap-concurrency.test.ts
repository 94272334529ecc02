import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { InterruptedError } from '../../src/errors.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { buildIndexes } from '../../src/swap/build-indexes.ts';
import { exchange } from '../../src/swap/exchange.ts';
import { readLockHolders } from '../../src/swap/lock-table.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

const TEMPORARY = 'idx_segments_text_embedding_ivfflat_reembed';
const nothing = async (): Promise<void> => undefined;

let chain: Chain;
type Context = ReturnType<Chain['context']>;

beforeAll(async () => {
  chain = await openChain();
});
afterEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE');
});
afterAll(() => chain.close());

async function filled(rows = 600): Promise<Context> {
  await makeSegments(chain.db, { rows });
  const ctx = chain.context();
  await expand(ctx);
  await fill(ctx);
  return ctx;
}

async function indexes(): Promise<{ name: string; oid: number; valid: boolean }[]> {
  const { rows } = await chain.db.query<{ name: string; oid: number; valid: boolean }>(
    `SELECT c.relname AS name, c.oid, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = 'segments'::regclass ORDER BY 1`,
  );
  return rows;
}

describe('indexes built before the exchange', () => {
  it('are taken over from an interrupted run when they are what is wanted, and built again when they are not', async () => {
    const ctx = await filled();
    await buildIndexes(ctx, await resolveMigration(ctx));
    const first = (await indexes()).find((index) => index.name === TEMPORARY);
    await buildIndexes(ctx, await resolveMigration(ctx));
    expect((await indexes()).find((index) => index.name === TEMPORARY)).toEqual(first);
    const other = chain.context({ index: { kind: 'hnsw' } });
    await buildIndexes(other, await resolveMigration(other));
    const second = (await indexes()).find((index) => index.name === TEMPORARY);
    expect(second?.valid).toBe(true);
    expect(second?.oid).not.toBe(first?.oid);
  });

  it('are built again when they were left invalid', async () => {
    const ctx = await filled();
    await buildIndexes(ctx, await resolveMigration(ctx));
    await chain.db.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass`, [TEMPORARY]);
    await buildIndexes(ctx, await resolveMigration(ctx));
    expect((await indexes()).find((index) => index.name === TEMPORARY)?.valid).toBe(true);
  });

  it('leave no setting behind on the session', async () => {
    const ctx = await filled();
    const show = async (): Promise<unknown> =>
      (
        await chain.db.query(
          `SELECT name, setting FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout', 'maintenance_work_mem') ORDER BY 1`,
        )
      ).rows;
    const before = await show();
    await buildIndexes(ctx, await resolveMigration(ctx));
    expect(await show()).toEqual(before);
  });
});

describe('beside other sessions', () => {
  // Polled beside the build, on a machine that may be busy: another try, with all of its checks, when the moment was missed.
  it('a build says whom it waits for, stops when asked, and leaves nothing invalid', { retry: 2 }, async (test) => {
    test.skip(chain.database.embedded, 'the embedded database has one session');
    const ctx = await filled();
    const blocker = await chain.db.openSession();
    // A writer in an open transaction is what CREATE INDEX CONCURRENTLY waits for.
    await blocker.query(`BEGIN; UPDATE segments SET voice = NULL WHERE id = 1`);
    const stop = new AbortController();
    const building = buildIndexes({ ...ctx, signal: stop.signal }, await resolveMigration(ctx));
    building.catch(() => undefined);
    const waits = `waits for the transaction of pid ${blocker.pid}`;
    const isTold = (): boolean =>
      ctx.events.some((event) => event.kind === 'notice' && event.message.includes(waits)) &&
      ctx.events.some((event) => event.kind === 'index');
    while (!isTold()) await sleep(50);
    expect(ctx.events).toContainEqual(
      expect.objectContaining({ kind: 'index', index: 'idx_segments_text_embedding_ivfflat' }),
    );
    stop.abort();
    await sleep(100);
    await blocker.query('ROLLBACK');
    await blocker.close();
    await expect(building).rejects.toThrow(InterruptedError);
    expect((await indexes()).filter((index) => !index.valid || index.name === TEMPORARY)).toEqual([]);
  });

  it('a build whose client was killed is waited for and taken over', async (test) => {
    test.skip(chain.database.embedded, 'the embedded database has one session');
    const ctx = await filled();
    await buildIndexes(ctx, await resolveMigration(ctx));
    const { rows } = await chain.db.query<{ definition: string }>(
      'SELECT pg_get_indexdef($1::regclass) AS definition',
      [TEMPORARY],
    );
    await chain.db.query(`DROP INDEX ${TEMPORARY}`);
    const blocker = await chain.db.openSession();
    await blocker.query(`BEGIN; UPDATE segments SET voice = NULL WHERE id = 1`);
    const orphan = await chain.db.openSession();
    const running = orphan.query((rows[0]?.definition ?? '').replace('CREATE INDEX', 'CREATE INDEX CONCURRENTLY'));
    while (!(await indexes()).some((index) => index.name === TEMPORARY)) await sleep(50);
    const oid = (await indexes()).find((index) => index.name === TEMPORARY)?.oid;
    const building = buildIndexes(ctx, await resolveMigration(ctx));
    const says = `still being built by pid ${orphan.pid}`;
    while (!ctx.events.some((event) => event.kind === 'notice' && event.message.includes(says))) await sleep(50);
    await blocker.query('COMMIT');
    await running;
    await building;
    expect((await indexes()).find((index) => index.name === TEMPORARY)).toMatchObject({ oid, valid: true });
    await Promise.all([blocker.close(), orphan.close()]);
  });

  it('an exchange behind a long reader keeps nobody else waiting, and happens when the reader is done', async (test) => {
    test.skip(chain.database.embedded, 'the embedded database has one session');
    const ctx = await filled();
    const reader = await chain.db.openSession();
    await reader.query('BEGIN; SELECT count(*) FROM segments');
    const other = await chain.db.openSession();
    let exchanged = false;
    const attempt = exchange(ctx, await resolveMigration(ctx), { catchUp: nothing }).finally(() => {
      exchanged = true;
    });
    // What a waiting lock costs the others: nothing but its own 50 ms a try, however long the reader stays.
    await other.query(`SET lock_timeout = '500ms'`);
    const until = performance.now() + 3_000;
    let queries = 0;
    for (; performance.now() < until; queries++) {
      await other.query('SELECT text FROM segments WHERE id = 1');
      await sleep(5);
    }
    expect(exchanged).toBe(false);
    expect(queries).toBeGreaterThan(10);
    expect(await readLockHolders(chain.db, (await resolveMigration(ctx)).table.oid)).toEqual([
      expect.stringMatching(new RegExp(`^pid ${reader.pid} \\(reembed, .*idle in transaction, in its transaction for`)),
    ]);
    await reader.query('COMMIT');
    expect((await attempt).attempts).toBeGreaterThan(1);
    await Promise.all([reader.close(), other.close()]);
  });

  it('the look at pending rows of a large table goes through an index that does not outlive the exchange', async (test) => {
    test.skip(chain.database.embedded, 'no index is made there: nobody waits');
    const ctx = await filled(6_000);
    const seen: string[] = [];
    const guard = async (tx: { query: Chain['db']['query'] }): Promise<void> => {
      const { rows } = await tx.query<{ name: string }>(
        `SELECT relname AS name FROM pg_class WHERE relname LIKE 'reembed\\_pending\\_%'`,
      );
      seen.push(...rows.map((row) => row.name));
    };
    await chain.db.query(`INSERT INTO segments (text) VALUES ('late')`);
    const catchUp = async (): Promise<void> => void (await chain.db.query(`DELETE FROM segments WHERE text = 'late'`));
    await exchange(ctx, await resolveMigration(ctx), { catchUp, guard });
    expect(seen).toEqual(['reembed_pending_segments-hash']);
    expect((await indexes()).filter((index) => index.name.startsWith('reembed_pending'))).toEqual([]);
  });
});
