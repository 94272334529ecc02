import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  describeOnServer,
  type FaultBed,
  type Observer,
  openFaultBed,
  openObserver,
  openReader,
} from '../helpers/fault-bed.ts';
import { killAt, leftovers, succeed } from '../helpers/fault-kill.ts';
import { type Random, seededRandom } from '../helpers/fault-random.ts';
import { stepOf, workerSessions } from '../helpers/fault-watch.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

/** In each phase; `REEMBED_TEST_KILLS` makes it fewer where time is short. */
const KILLS = Number(process.env.REEMBED_TEST_KILLS ?? 3);
/** Each kill is followed by a start and the end of a lease: about 4 seconds, more on a busy machine. */
const TIMEOUT_MS = 400_000;
const INDEX = 'idx_segments_text_embedding_ivfflat';
/** The statements of the transaction that exchanges, from its lock on. */
const EXCHANGING = /^LOCK TABLE .* ACCESS EXCLUSIVE|^SET LOCAL enable_seqscan|^DROP INDEX "|^ALTER TABLE/;

describeOnServer('kill -9 of knex migrate while 007 builds the index', () => {
  let bed: FaultBed;
  let random: Random;
  const env = { REEMBED_INDEX: 'hnsw' };

  beforeAll(async () => {
    bed = await openFaultBed({ rows: 4_000 });
    random = seededRandom('kill -9 in the index build of 007');
    await succeed(bed.knex(['migrate:up']));
    await succeed(bed.knex(['migrate:up']));
  });
  afterAll(() => bed?.close());

  it(`${KILLS} times, whether or not the server goes on building without it`, { timeout: TIMEOUT_MS }, async () => {
    // An old snapshot: CREATE INDEX CONCURRENTLY waits for it in its last phase, so that no build ends before its kill.
    const reader = await openObserver(bed.url);
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await reader.query('SELECT 1');
    for (let kills = 0; kills < KILLS; kills++) {
      await noticeDeadClients(random.chance(0.5));
      const running = bed.knex(['migrate:latest'], env);
      const killed = await killAt(bed.observer, running, {
        isDue: async () => (await stepOf(bed.observer, running.pid)) === 'cut-over' && (await isBuilding()),
        delayMs: random.whole(0, 1_500),
      });
      expect(killed).toBe(true);
      // An operator who sees the orphan may end it, which leaves the index INVALID.
      if (random.chance(0.3)) await endOrphans();
    }
    await reader.close();
    await succeed(bed.knex(['migrate:latest'], env));
    expect(await leftovers(bed.observer)).toEqual([]);
    const { rows } = await bed.observer.query(
      `SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index WHERE indexrelid = $1::regclass AND indisvalid`,
      [INDEX],
    );
    expect(rows).toEqual([{ definition: expect.stringMatching(/USING hnsw \(embedding .*vector_cosine_ops\)/) }]);
    expect(await bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding'))).toEqual([]);
  });

  async function noticeDeadClients(notice: boolean): Promise<void> {
    const database = new URL(bed.url).pathname.slice(1);
    await bed.observer.query(
      `ALTER DATABASE "${database}" SET client_connection_check_interval = ${notice ? `'20ms'` : '0'}`,
    );
  }

  async function isBuilding(): Promise<boolean> {
    const { rowCount } = await bed.observer.query(
      'SELECT 1 FROM pg_stat_progress_create_index WHERE datname = current_database()',
    );
    return rowCount > 0;
  }

  async function endOrphans(): Promise<void> {
    for (const session of await workerSessions(bed.observer)) {
      await bed.observer.query('SELECT pg_terminate_backend($1)', [session.pid]);
    }
  }
});

describeOnServer('kill -9 of knex migrate in the exchange of 007', () => {
  let bed: FaultBed;
  let random: Random;

  beforeAll(async () => {
    // Large enough for the partial index of missing rows, and with a NOT NULL that has to be moved.
    bed = await openFaultBed({ rows: 6_000 });
    await bed.observer.query('ALTER TABLE segments ALTER COLUMN embedding SET NOT NULL');
    random = seededRandom('kill -9 in the exchange of 007');
    await succeed(bed.knex(['migrate:up']));
    await succeed(bed.knex(['migrate:up']));
  });
  afterAll(() => bed?.close());

  it(`${KILLS} times: it has happened or it has not, and the same command finishes it`, {
    timeout: TIMEOUT_MS,
  }, async () => {
    const outcomes = { old: 0, new: 0 };
    while (outcomes.old + outcomes.new < KILLS) {
      // With a reader in the way the kill hits the waiting for the lock; without one, or once it has gone, the exchange itself.
      const wanted = random.chance(0.4);
      const leaves = random.chance(0.7);
      let reader: Observer | undefined;
      const running = bed.knex(['migrate:latest']);
      const killed = await killAt(bed.observer, running, {
        isDue: async () => {
          const queries = (await workerSessions(bed.observer)).map((session) => session.query);
          // Not before: a reader would keep an index that an earlier kill left from being dropped.
          if (wanted && queries.some((query) => /^CREATE INDEX CONCURRENTLY.*reembed_pending/.test(query))) {
            reader ??= await openReader(bed.url);
          }
          if (!queries.some((query) => EXCHANGING.test(query))) return false;
          if (leaves && reader !== undefined) {
            await sleep(random.whole(0, 200));
            await reader.close();
          }
          return true;
        },
        delayMs: random.whole(0, wanted ? 600 : 40),
      });
      await reader?.close();
      const active = await activeSide();
      if (killed) outcomes[active]++;
      if (active === 'new') {
        await succeed(bed.knex(['migrate:latest']));
        await expectExchanged();
        await succeed(bed.knex(['migrate:down']));
      }
    }
    console.info(`kills before the commit: ${outcomes.old}, after it: ${outcomes.new}`);
    await succeed(bed.knex(['migrate:latest']));
    await expectExchanged();
    expect(await bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding'))).toEqual([]);
  });

  async function expectExchanged(): Promise<void> {
    expect(await leftovers(bed.observer)).toEqual([]);
    const { rows } = await bed.observer.query(
      `SELECT attnotnull AS "notNull", format_type(atttypid, atttypmod) AS type FROM pg_attribute
       WHERE attrelid = 'segments'::regclass AND attname IN ('embedding', 'embedding_old') ORDER BY attname`,
    );
    expect(rows).toEqual([
      { notNull: true, type: 'vector(384)' },
      { notNull: false, type: 'vector(16)' },
    ]);
  }

  /** By the catalog, which the record must agree with. */
  async function activeSide(): Promise<'old' | 'new'> {
    const { rows } = await bed.observer.query<{ type: string; active: 'old' | 'new' }>(
      `SELECT format_type(atttypid, atttypmod) AS type, (SELECT active FROM reembed.migrations) AS active FROM pg_attribute
       WHERE attrelid = 'segments'::regclass AND attname = 'embedding'`,
    );
    const side = rows[0]?.type === 'vector(384)' ? 'new' : 'old';
    expect(rows[0]?.active).toBe(side);
    return side;
  }
});
