import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { limitStatements } from '../../src/db/limit-statements.ts';
import type { Queryable } from '../../src/db/types.ts';
import { IntegrityError } from '../../src/errors.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { embedPending } from '../../src/steps/embed-pending.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { pause, resume } from '../../src/steps/pause.ts';
import { withLease } from '../../src/steps/with-lease.ts';
import { type Chain, makeSegments, openChain, staleKeys } from '../helpers/chain.ts';
import { waitFor, workerSessions } from '../helpers/fault-watch.ts';

const ROWS = 200;

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE');
  await makeSegments(chain.db, { rows: ROWS });
});
afterAll(() => chain.close());

/** 006 with a provider of the test's own. */
function embedWith(ctx: MigrationContext, embed: EmbeddingProvider['embed']): Promise<unknown> {
  const provider = { ...hashProvider('hash/384'), embed };
  return withLease(ctx, 'fill', ({ ctx: leased, lease }) =>
    embedPending(leased, lease, { get: async () => provider, close: async () => undefined }),
  );
}

function told(ctx: ReturnType<Chain['context']>, pattern: RegExp): true | undefined {
  return ctx.events.some((event) => event.kind === 'notice' && pattern.test(event.message)) || undefined;
}

describe('a backfill that is paused', () => {
  it('writes what is embedded, holds with its lease and no transaction open, and goes on where it was', async () => {
    const ctx = chain.context({}, { batchRows: 25 });
    await expand(ctx);
    const { embed } = hashProvider('hash/384');
    let embedded = 0;
    let asked = false;
    const states: string[] = [];
    const filling = embedWith(ctx, async (texts, options) => {
      if (embedded >= 25) {
        // In the middle of a window: what is being embedded is still to be written.
        if (!asked) {
          asked = true;
          await pause(ctx, 'ann@db1');
        }
        await waitFor('the run to notice', () => told(ctx, /^Paused by ann@db1 since .+: "reembed resume" goes on\.$/));
        if (!chain.db.embedded) states.push(...(await workerSessions(chain.db)).map((session) => session.state));
      }
      embedded += texts.length;
      return embed(texts, options);
    });
    const done = async (): Promise<number> => (await readStatus(ctx)).rows.done;
    await waitFor(
      'what is embedded to be written',
      async () => (embedded > 25 && (await done()) === embedded ? true : undefined),
      { everyMs: 200 },
    );
    const held = embedded;
    await sleep(500);
    expect([embedded, await done()]).toEqual([held, held]);
    expect(held).toBeLessThan(ROWS);
    expect(await readStatus(ctx)).toMatchObject({
      paused: { by: 'ann@db1' },
      lease: { step: 'fill', expired: false },
      phase: 'backfilling',
    });
    // Neither while texts were embedded nor while it holds.
    if (!chain.db.embedded) states.push(...(await workerSessions(chain.db)).map((session) => session.state));
    expect(states.filter((state) => /transaction/.test(state))).toEqual([]);
    expect(await pause(ctx, 'bob')).toMatchObject({ pause: { by: 'ann@db1' }, holder: expect.any(String) });
    expect(await resume(ctx)).toMatchObject({ changed: true });
    await filling;
    expect(told(ctx, /^Resumed\.$/)).toBe(true);
    expect(await staleKeys(chain.db, 'embedding_384')).toEqual([]);
    const kinds = (await readStatus(ctx)).lastEvents.map((event) => event.kind);
    expect(kinds).toEqual(expect.arrayContaining(['paused', 'resumed']));
    expect(await resume(ctx)).toEqual({ changed: false, holder: null });
  });

  it('can be stopped while it holds', async () => {
    const stop = new AbortController();
    const ctx = { ...chain.context(), signal: stop.signal };
    await expand(ctx);
    await pause(ctx, 'ann');
    const filling = fill(ctx).catch((error: unknown) => error);
    await waitFor('the run to say so', () => told(ctx, /^Paused by ann/));
    stop.abort();
    expect(await filling).toMatchObject({ name: 'InterruptedError' });
  });

  it('ends with its error, should it fail meanwhile', async () => {
    const ctx = chain.context({}, { batchRows: 25 });
    await expand(ctx);
    const { embed } = hashProvider('hash/384');
    let calls = 0;
    const filling = embedWith(ctx, async (texts, options) => {
      calls += 1;
      const call = calls;
      if (call === 1) await pause(ctx, 'ann');
      await waitFor('the run to notice', () => told(ctx, /^Paused by ann/));
      if (call > 1) return embed(texts, options);
      // By now the other windows wait for the pause to end.
      await sleep(300);
      throw new IntegrityError('broken', 'The model is broken.');
    });
    await expect(filling).rejects.toMatchObject({ code: 'broken' });
    await resume(ctx);
  });

  it('waits before it loads the model, but refuses under knex: a pipeline must not hang', async () => {
    const ctx = chain.context();
    await expand(ctx);
    await pause(ctx, 'ann');
    const refused = await fill({ ...ctx, knexLock: 'knex_migrations_lock' }).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      name: 'BusyError',
      code: 'paused',
      message: expect.stringMatching(
        /^The migration "segments-hash" has been paused by ann since 20.+, and rows are pending\.$/,
      ),
      hint: expect.stringContaining('reembed resume'),
    });
    let asked = 0;
    const { embed } = hashProvider('hash/384');
    const filling = embedWith(ctx, (texts, options) => {
      asked += 1;
      return embed(texts, options);
    });
    await waitFor('the run to say so', () => told(ctx, /^Paused by ann/));
    expect(asked).toBe(0);
    await resume(ctx);
    await filling;
    expect(asked).toBeGreaterThan(0);
    // Nothing pending, nothing to hold: the pipeline passes.
    await pause(ctx, 'ann');
    await fill({ ...ctx, knexLock: 'knex_migrations_lock' });
  });

  it('is not to be had before 005', async () => {
    await expect(pause(chain.context())).rejects.toMatchObject({ code: 'not_expanded' });
  });
});

describe('a write', () => {
  it('that runs into the statement timeout is halved until it passes', async ({ skip }) => {
    if (chain.db.embedded) return skip('the embedded database enforces no timeout');
    await chain.db.query(
      `CREATE OR REPLACE FUNCTION slow_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.004); RETURN NEW; END'`,
    );
    await chain.db.query('CREATE TRIGGER audit BEFORE UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION slow_audit()');
    const ctx = chain.context({ userTriggers: 'fire' }, { statementTimeoutMs: 400, writeTargetMs: 150 });
    await expand(ctx);
    expect(await fill(ctx)).toMatchObject({ rows: { done: ROWS, pending: 0 } });
    expect(told(ctx, /^A write of 200 rows ran into the statement timeout of 400 ms; it goes on with 100\.$/)).toBe(
      true,
    );
    // A time-out that was answered is no failed attempt.
    expect(ctx.events.filter((event) => event.kind === 'warning')).toEqual([]);
    expect(await staleKeys(chain.db, 'embedding_384')).toEqual([]);
  });

  it('has a limit of its own; every other statement has the longer one, and an idle transaction its end', async ({
    skip,
  }) => {
    if (chain.db.embedded) return skip('the embedded database enforces no timeout');
    const shown = async (name: string, db: Queryable = chain.db): Promise<unknown> =>
      (await db.query<{ value: string }>(`SELECT current_setting('${name}') AS value`)).rows[0]?.value;
    expect(await shown('statement_timeout')).toBe('1h');
    expect(await shown('statement_timeout', limitStatements(chain.db, 1500))).toBe('1500ms');
    // The same connection again: what one statement asked for is not the next one's.
    expect(await shown('statement_timeout')).toBe('1h');
    expect(await shown('idle_in_transaction_session_timeout')).toBe('1min');
    // What else ends sessions and transactions is meant for the application: a session that listens is idle, a backup one transaction.
    await chain.db.query(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET idle_session_timeout = ''5s''', current_database());
      IF current_setting('server_version_num')::int >= 170000 THEN
        EXECUTE format('ALTER DATABASE %I SET transaction_timeout = ''5s''', current_database());
      END IF; END $$`);
    const session = await chain.db.openSession();
    const limits = `SELECT name, setting FROM pg_settings WHERE name ~ '(statement|session|transaction)_timeout$' ORDER BY name`;
    expect((await session.query<{ name: string; setting: string }>(limits)).rows).toEqual(
      expect.arrayContaining([
        { name: 'idle_in_transaction_session_timeout', setting: '60000' },
        { name: 'idle_session_timeout', setting: '0' },
        { name: 'statement_timeout', setting: '3600000' },
      ]),
    );
    expect(
      (await session.query(`${limits.replace('ORDER', "AND name = 'transaction_timeout' AND setting <> '0' ORDER")}`))
        .rows,
    ).toEqual([]);
    await session.close();
  });
});
