import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeOnServer, type FaultBed, openFaultBed, openObserver, openReader } from '../helpers/fault-bed.ts';
import { leftovers, succeed } from '../helpers/fault-kill.ts';
import type { Exit, Running } from '../helpers/fault-process.ts';
import { stepOf, waitFor, workerSessions } from '../helpers/fault-watch.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const ROWS = 10_000;
const SLOW = { REEMBED_BATCH_ROWS: '4', REEMBED_CONCURRENCY: '1', REEMBED_WRITERS: '1' };
/** The promise is 5 seconds; a busy machine may be late in telling us. */
const LIMIT_MS = 5_000;

describeOnServer('Ctrl-C and friends', () => {
  let bed: FaultBed;
  beforeAll(async () => {
    bed = await openFaultBed({ rows: ROWS });
    await succeed(bed.knex(['migrate:up']));
  });
  afterAll(() => bed?.close());

  describe('in the backfill', () => {
    it.each(['SIGINT', 'SIGTERM'] as const)(
      'reembed ends with 130 within 5 seconds after %s and keeps what is done',
      async (signal) => {
        const before = await done();
        const running = bed.reembed(['backfill'], SLOW);
        await waitFor('rows', async () => ((await done()) > before ? true : undefined));
        const { code, output } = await endWith(running, signal);
        expect(code, output).toBe(130);
        expect(output).toContain('Run the same command again');
        expect(await done()).toBeLessThan(ROWS);
      },
    );

    it.each(['SIGINT', 'SIGTERM'] as const)('knex ends with 1 after %s and frees its lock itself', async (signal) => {
      const before = await done();
      const running = bed.knex(['migrate:latest'], SLOW);
      await waitFor('rows', async () => ((await done()) > before ? true : undefined));
      const { code, output } = await endWith(running, signal);
      expect(code, output).toBe(1);
      expect(output).toContain(`Stopped by ${signal}`);
      expect(await leftovers(bed.observer)).toEqual([]);
      expect(await done()).toBeLessThan(ROWS);
    });

    it('REEMBED_TIME_LIMIT ends it in the same way', async () => {
      const before = await done();
      const { code, output } = await bed.reembed(['backfill'], { ...SLOW, REEMBED_TIME_LIMIT: '700ms' }).exit;
      expect(code, output).toBe(130);
      expect(output).toContain('as REEMBED_TIME_LIMIT asks');
      const under = await bed.knex(['migrate:latest'], { ...SLOW, REEMBED_TIME_LIMIT: '700ms' }).exit;
      expect(under.code, under.output).toBe(1);
      expect(under.output).toContain('as REEMBED_TIME_LIMIT asks');
      expect(await leftovers(bed.observer)).toEqual([]);
      expect(await done()).toBeGreaterThan(before);
      expect(await done()).toBeLessThan(ROWS);
    });

    it('and the same command goes on where it was stopped, to the end', async () => {
      const before = await writtenAt();
      await succeed(bed.knex(['migrate:up']));
      expect(await writtenAt(before.at)).toEqual(before);
      expect(await bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding_384'))).toEqual([]);
    });
  });

  describe('in 007', () => {
    it('ends an index build and leaves nothing INVALID behind', async () => {
      const reader = await openObserver(bed.url);
      await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await reader.query('SELECT 1');
      const running = bed.knex(['migrate:latest']);
      await waitFor('the index build', async () => ((await sees(/^CREATE INDEX CONCURRENTLY/)) ? true : undefined));
      const { code, output } = await endWith(running, 'SIGINT');
      await reader.close();
      expect(code, output).toBe(1);
      expect(await leftovers(bed.observer)).toEqual([]);
    });

    it('ends the wait for the lock, and readers notice nothing', async () => {
      const running = bed.reembed(['up']);
      await waitFor('the index build', async () => ((await sees(/^CREATE INDEX CONCURRENTLY/)) ? true : undefined));
      const reader = await openReader(bed.url);
      await waitFor('the exchange', async () => ((await sees(/^LOCK TABLE|^ROLLBACK/)) ? true : undefined));
      const { code, output } = await endWith(running, 'SIGINT');
      expect(code, output).toBe(130);
      await reader.close();
      await succeed(bed.reembed(['up']));
      expect(await leftovers(bed.observer)).toEqual([]);
      expect(await bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding'))).toEqual([]);
    });
  });

  async function endWith(running: Running, signal: NodeJS.Signals): Promise<Exit> {
    expect(await stepOf(bed.observer, running.pid)).toBeDefined();
    const at = Date.now();
    running.signal(signal);
    const exit = await running.exit;
    expect(Date.now() - at).toBeLessThan(LIMIT_MS);
    return exit;
  }

  async function sees(query: RegExp): Promise<boolean> {
    return (await workerSessions(bed.observer)).some((session) => query.test(session.query));
  }

  async function done(): Promise<number> {
    const { rows } = await bed.observer.query<{ n: number }>('SELECT count(embedding_384)::int AS n FROM segments');
    return rows[0]?.n ?? 0;
  }

  /** How many rows were written until `at`, and the latest time among them. */
  async function writtenAt(at?: string): Promise<{ at: string; count: number }> {
    const { rows } = await bed.observer.query<{ at: string; count: number }>(
      `SELECT max(embedding_384_at)::text AS at, count(*)::int AS count FROM segments WHERE embedding_384_at <= coalesce($1, 'infinity')::timestamptz`,
      [at ?? null],
    );
    return rows[0] ?? { at: '', count: 0 };
  }
});
