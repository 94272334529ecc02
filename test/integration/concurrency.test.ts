import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { describeOnServer, type Observer, openObserver } from '../helpers/fault-bed.ts';
import { waitFor, workerSessions } from '../helpers/fault-watch.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const ROWS = 3_000;

describeOnServer('a backfill beside an application', () => {
  let chain: Chain;
  let application: Observer;
  let other: Observer;

  beforeEach(async () => {
    chain = await openChain();
    await makeSegments(chain.db, { rows: ROWS });
    await expand(chain.context());
    application = await openObserver(chain.database.url);
    other = await openObserver(chain.database.url);
  });
  afterEach(async () => {
    await application?.close();
    await other?.close();
    await chain.close();
  });

  it('goes round a row that the application has locked, and embeds it once it is free', async () => {
    await application.query('BEGIN');
    await application.query('SELECT 1 FROM segments WHERE id = 17 FOR UPDATE');
    const filling = fill(chain.context());
    await waitFor('all rows but the locked one', async () => ((await written()) === ROWS - 1 ? true : undefined));
    // Nobody waits behind the batch: with the lock still held, every other row can be changed at once.
    await other.query(`SET lock_timeout = '5s'`);
    const { rowCount } = await other.query(`UPDATE segments SET text = text || ' edited' WHERE id <> 17`);
    expect(rowCount).toBe(ROWS - 1);
    await application.query(`UPDATE segments SET text = 'changed while it was locked' WHERE id = 17`);
    await application.query('COMMIT');
    // All of it may have been edited behind a walk that met only the locked row: that is left to the next run.
    await filling;
    expect(await fill(chain.context())).toMatchObject({ rows: { done: ROWS, pending: 0 } });
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
  });

  it('never makes the application wait for longer than one batch takes', async () => {
    await application.query('BEGIN');
    await application.query('SELECT 1 FROM segments WHERE id % 100 = 0 FOR UPDATE');
    await other.query(`SET lock_timeout = '5s'`);
    const filling = fill(chain.context({}, { batchRows: 100 }));
    for (let id = 1; id <= ROWS; id += 7) {
      if (id % 100 !== 0) await other.query(`UPDATE segments SET text = text || ' x' WHERE id = $1`, [id]);
    }
    await application.query('COMMIT');
    await filling;
    await fill(chain.context());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
  });

  it('waits for rows that somebody holds for long, and can be stopped meanwhile', async () => {
    await application.query('BEGIN');
    await application.query('SELECT 1 FROM segments WHERE id IN (17, 18) FOR UPDATE');
    const context = chain.context();
    const stop = new AbortController();
    const filling = fill({ ...context, signal: stop.signal }).catch((error: unknown) => error);
    await waitFor('all rows but the locked ones', async () => ((await written()) === ROWS - 2 ? true : undefined));
    await sleep(1_000);
    // It waits for them, and can still be stopped.
    stop.abort();
    expect(await filling).toMatchObject({ name: 'InterruptedError' });
    await application.query('ROLLBACK');
    expect(await fill(chain.context())).toMatchObject({ rows: { done: ROWS, pending: 0 } });
  });

  it('survives that an operator ends its connections', async () => {
    const context = chain.context({}, { batchRows: 20 });
    const filling = fill(context);
    for (const rows of [200, 800, 1_600]) {
      await waitFor(`${rows} rows`, async () => ((await written()) >= rows ? true : undefined));
      await other.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reembed' AND datname = current_database()`,
      );
    }
    expect(await filling).toMatchObject({ rows: { done: ROWS, pending: 0 } });
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
    const open = (await workerSessions(other)).filter((session) => session.state !== 'idle');
    expect(open).toEqual([]);
  });

  async function written(): Promise<number> {
    const { rows } = await other.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM segments WHERE embedding_384 IS NOT NULL',
    );
    return rows[0]?.n ?? 0;
  }
});
