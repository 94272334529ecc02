import { afterAll, beforeAll, expect, it } from 'vitest';
import { insertSegments } from '../helpers/chain.ts';
import { describeOnServer, type FaultBed, openFaultBed, openReader } from '../helpers/fault-bed.ts';
import { killAt, leftovers, succeed } from '../helpers/fault-kill.ts';
import { type Random, seededRandom } from '../helpers/fault-random.ts';
import { stepOf } from '../helpers/fault-watch.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

/** In each phase; `REEMBED_TEST_KILLS` makes it fewer where time is short. */
const KILLS = Number(process.env.REEMBED_TEST_KILLS ?? 3);
/** Each kill is followed by a start and the end of a lease: about 4 seconds, more on a busy machine. */
const TIMEOUT_MS = 400_000;
const ROWS_A_ROUND = 3_000;

describeOnServer('kill -9 of knex migrate at random moments', () => {
  let bed: FaultBed;
  let random: Random;

  beforeAll(async () => {
    bed = await openFaultBed({ rows: ROWS_A_ROUND });
    random = seededRandom('kill -9 in 005 and 006');
  });
  afterAll(() => bed?.close());

  it(`in 005: ${KILLS} times, and the same command finishes it`, { timeout: TIMEOUT_MS }, async () => {
    for (let kills = 0; kills < KILLS; ) {
      // A reader makes ALTER TABLE wait, so that this moment is hit as well.
      const reader = random.chance(0.5) ? await openReader(bed.url) : undefined;
      const running = bed.knex(['migrate:up']);
      const killed = await killAt(bed.observer, running, {
        isDue: async () => (await stepOf(bed.observer, running.pid)) === 'expand',
        delayMs: random.whole(0, reader === undefined ? 80 : 500),
      }).finally(() => reader?.close());
      await expectAllOrNothing();
      if (killed) kills++;
      if (await isApplied('005')) await succeed(bed.knex(['migrate:down']));
    }
    await succeed(bed.knex(['migrate:up']));
    expect(await expanded()).toEqual({ columns: 4, triggers: 1, records: 1 });
    expect(await leftovers(bed.observer)).toEqual([]);
  });

  it(`in 006: ${KILLS} times, and no row that was written is embedded again`, { timeout: TIMEOUT_MS }, async () => {
    const kept: { at: string; done: number }[] = [];
    const env = { REEMBED_BATCH_ROWS: '50' };
    for (let kills = 0; kills < KILLS || (kept.at(-1)?.done ?? 0) === 0; ) {
      const running = bed.knex(['migrate:up'], env);
      const killed = await killAt(bed.observer, running, {
        isDue: async () => (await stepOf(bed.observer, running.pid)) === 'fill' && (await isBackfilling()),
        delayMs: random.whole(0, 400),
      });
      if (killed) kills++;
      if (await isApplied('006')) {
        await succeed(bed.knex(['migrate:down']));
        kept.length = 0;
      } else {
        kept.push(await doneNow());
        await bed.withDatabase((db) => insertSegments(db, ROWS_A_ROUND, 16));
      }
    }
    await succeed(bed.knex(['migrate:up']));
    // Each row carries the time at which it was written: what was done before a kill has a time before it to this day.
    for (const { at, done } of kept) expect(await doneBefore(at)).toBe(done);
    expect(kept.at(-1)?.done).toBeGreaterThan(0);
    expect(await bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding_384'))).toEqual([]);
    expect(await leftovers(bed.observer)).toEqual([]);
  });

  async function expanded(): Promise<{ columns: number; triggers: number; records: number }> {
    const { rows } = await bed.observer.query<{ columns: number; triggers: number; state: boolean }>(
      `SELECT (SELECT count(*)::int FROM pg_attribute WHERE attrelid = 'segments'::regclass AND attname LIKE 'embedding\\_384%' AND NOT attisdropped) AS columns,
         (SELECT count(*)::int FROM pg_trigger WHERE tgrelid = 'segments'::regclass AND tgname LIKE 'zzz_reembed_%') AS triggers,
         to_regclass('reembed.migrations') IS NOT NULL AS state`,
    );
    const { columns = 0, triggers = 0, state = false } = rows[0] ?? {};
    const records = state ? await bed.observer.query('SELECT 1 FROM reembed.migrations') : undefined;
    return { columns, triggers, records: records?.rowCount ?? 0 };
  }

  /** A kill may come after knex has written the migration down: then the same command would run the next one. */
  async function isApplied(prefix: string): Promise<boolean> {
    const { rowCount } = await bed.observer.query('SELECT 1 FROM knex_migrations WHERE name LIKE $1', [`${prefix}%`]);
    return rowCount > 0;
  }

  /** Columns, trigger and record come in one transaction. */
  async function expectAllOrNothing(): Promise<void> {
    const found = await expanded();
    expect([
      { columns: 0, triggers: 0, records: 0 },
      { columns: 4, triggers: 1, records: 1 },
    ]).toContainEqual(found);
  }

  async function isBackfilling(): Promise<boolean> {
    const { rowCount } = await bed.observer.query(`SELECT 1 FROM reembed.migrations WHERE phase = 'backfilling'`);
    return rowCount > 0;
  }

  async function doneNow(): Promise<{ at: string; done: number }> {
    const { rows } = await bed.observer.query<{ at: string; done: number }>(
      'SELECT clock_timestamp()::text AS at, count(embedding_384_at)::int AS done FROM segments',
    );
    return rows[0] ?? { at: '', done: 0 };
  }

  async function doneBefore(at: string): Promise<number> {
    const { rows } = await bed.observer.query<{ done: number }>(
      'SELECT count(*)::int AS done FROM segments WHERE embedding_384_at <= $1::timestamptz',
      [at],
    );
    return rows[0]?.done ?? 0;
  }
});
