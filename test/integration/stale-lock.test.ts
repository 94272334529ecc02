import createKnex, { type Knex } from 'knex';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addEmbedding } from '../../src/migrations/factories.ts';
import { connectionOfKnex } from '../../src/migrations/knex-connection.ts';
import { releaseStaleLock, type StaleLockOptions } from '../../src/migrations/release-stale-lock.ts';
import { acquireLease, type Lease } from '../../src/state/lease.ts';
import { expand } from '../../src/steps/expand.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { describeOnServer } from '../helpers/fault-bed.ts';
import { waitFor } from '../helpers/fault-watch.ts';

const KNEX_HOLDER = 'elsewhere:1:abc:knex';

describeOnServer("knex's lock", () => {
  let chain: Chain;
  beforeEach(async () => {
    chain = await openChain();
    await makeSegments(chain.db, { rows: 5 });
    await expand(chain.context());
    await makeLock('knex_migrations_lock');
  });
  afterEach(() => chain.close());

  it('of a process that died is freed once its lease has ended, and its name forgotten', async () => {
    await lock();
    await lease(KNEX_HOLDER, 1);
    expect(await free()).toBe('released');
    expect(await isLocked()).toBe(false);
    expect(await holders()).toEqual([null]);
  });

  it('of a process that renews its lease is held', async () => {
    await lock();
    const held = await acquireLease({ ...chain.context(), knexLock: 'knex_migrations_lock' }, 'fill');
    expect(await free()).toBe('held');
    await held.park();
    expect(await free()).toBe('held');
    expect(await isLocked()).toBe(true);
    await held.release();
  });

  it('is not robbed by the second of two that watch a dead holder: the first frees it, and takes it', async () => {
    await lock();
    await lease(KNEX_HOLDER, 3);
    const second = free();
    await seenByWatcher();
    // What the first one does, between two looks of the second.
    await chain.db.transaction(async (tx) => {
      await tx.query('UPDATE reembed.leases SET holder = NULL, step = NULL, expires = NULL');
      await tx.query('UPDATE knex_migrations_lock SET is_locked = 0');
      await tx.query('UPDATE knex_migrations_lock SET is_locked = 1');
    });
    expect(await second).toBe('unknown-holder');
    expect(await isLocked()).toBe(true);
  });

  it('is not robbed when the lock changes hands and the old name stays', async () => {
    await lock();
    await lease(KNEX_HOLDER, 2);
    const watcher = free();
    await seenByWatcher();
    await lock();
    expect(await watcher).toBe('unknown-holder');
    expect(await free()).toBe('unknown-holder');
    expect(await isLocked()).toBe(true);
  });

  it('of a migration that is not ours is not freed when a backfill beside it ends or dies', async () => {
    await lock();
    const backfill = await acquireLease(chain.context(), 'fill');
    expect(await free()).toBe('unknown-holder');
    await backfill.release();
    expect(await free()).toBe('unknown-holder');
    await lease('elsewhere:1:abc', -5);
    expect(await free()).toBe('unknown-holder');
    expect(await isLocked()).toBe(true);
  });

  it('of a later run is not laid to a process that lives on after its migrations', async () => {
    await lease(KNEX_HOLDER, 1);
    expect(await free()).toBe('not-locked');
    await lock();
    await chain.db.query(`UPDATE reembed.leases SET expires = clock_timestamp() - interval '1 second'`);
    expect(await free()).toBe('unknown-holder');
    expect(await isLocked()).toBe(true);
  });

  describe('of two ledgers that share the state', () => {
    const OTHER = { tableName: 'other' };
    beforeEach(async () => {
      await makeLock('other_lock');
      await lock('other_lock');
      await chain.db.query(`INSERT INTO reembed.leases (migration_id) VALUES ('of the other')`);
    });

    /** A step of the other ledger, as its own process takes the lease. */
    async function otherStep(): Promise<Lease> {
      const { definition, ...rest } = chain.context();
      return acquireLease(
        { ...rest, definition: { ...definition, id: 'of the other' }, knexLock: 'other_lock' },
        'fill',
      );
    }

    it('is not freed for the dead step of the other, whose own is', async () => {
      await lock();
      await (await otherStep()).park();
      await endLeases();
      expect(await free()).toBe('unknown-holder');
      expect(await isLocked()).toBe(true);
      expect(await free(OTHER)).toBe('released');
      expect(await isLocked()).toBe(true);
      expect(await isLocked('other_lock')).toBe(false);
    });

    it('is not taken for held by the living step of the other', async () => {
      await lock();
      const living = await otherStep();
      await lease(KNEX_HOLDER, -1);
      expect(await free()).toBe('released');
      expect(await free(OTHER)).toBe('held');
      await living.release();
    });

    it('leaves the name of its dead holder alone while the first has none', async () => {
      await (await otherStep()).park();
      await endLeases();
      expect(await free()).toBe('not-locked');
      expect(await free(OTHER)).toBe('released');
    });

    it('is found again where a caller named a ledger to knex that no knexfile has', async () => {
      const unnamed = await acquireLease({ ...chain.context(), knexLock: 'knex_migrations_lock' }, 'fill');
      await unnamed.park();
      await endLeases();
      expect(await free(OTHER)).toBe('released');
    });
  });

  it('is found in the schema that the knexfile names, and the state in the one that the environment names', async () => {
    await chain.db.query('CREATE SCHEMA "my ledger"');
    await makeLock('"my ledger".runs_lock');
    await lock('"my ledger".runs_lock');
    await lock();
    await lease(KNEX_HOLDER, -1);
    expect(await free({ tableName: 'runs', schemaName: 'my ledger' })).toBe('released');
    expect(await isLocked('"my ledger".runs_lock')).toBe(false);
    expect(await isLocked()).toBe(true);
    await lock('"my ledger".runs_lock');
    await lease(KNEX_HOLDER, -1);
    await chain.db.query('ALTER SCHEMA reembed RENAME TO elsewhere');
    process.env.REEMBED_STATE_SCHEMA = 'elsewhere';
    try {
      expect(await free({ tableName: 'runs', searchPath: ['nowhere', 'my ledger'] })).toBe('released');
    } finally {
      delete process.env.REEMBED_STATE_SCHEMA;
    }
  });

  it('is known by the name that the knexfile gives its ledger', async () => {
    await chain.db.query('CREATE SCHEMA "my ledger"');
    const { definition } = chain.context({ id: 'again' });
    await chain.db.query('ALTER TABLE segments RENAME TO before; CREATE TABLE segments (LIKE before INCLUDING ALL)');
    const migrationSource = {
      getMigrations: async () => ['005'],
      getMigrationName: (name: string) => name,
      getMigration: async () => addEmbedding(definition),
    };
    const migrations = { migrationSource, tableName: 'runs', schemaName: 'my ledger' };
    await withKnex({ connection: chain.database.url, migrations }, (knex) => knex.migrate.latest());
    const { rows } = await chain.db.query(`SELECT knex_lock FROM reembed.leases WHERE migration_id = 'again'`);
    expect(rows).toEqual([{ knex_lock: '"my ledger".runs_lock' }]);
  });

  it("knex's searchPath decides which table is migrated, also beside options in the URL", async () => {
    await chain.db.query('CREATE SCHEMA "the app"');
    await chain.db.query('CREATE TABLE "the app".notes (id int PRIMARY KEY, text text, embedding vector(16))');
    await chain.db.query('CREATE TABLE notes (id int PRIMARY KEY, text text, embedding vector(16))');
    const url = `${chain.database.url}?options=-c%20work_mem%3D5MB`;
    await withKnex({ connection: url, searchPath: ['the app', 'public'] }, async (knex) => {
      const settings = await connectionOfKnex(knex, 'a test');
      await withKnex({ connection: settings as Knex.PgConnectionConfig }, async (plain) => {
        const shown = await plain.raw(
          `SELECT current_setting('search_path') AS path, current_setting('work_mem') AS mem`,
        );
        expect(shown.rows).toEqual([{ path: '"the app","public"', mem: '5MB' }]);
      });
      const { definition } = chain.context({ id: 'notes', table: 'notes' });
      await addEmbedding(definition).up(knex);
    });
    const { rows } = await chain.db.query(
      `SELECT table_schema FROM information_schema.columns WHERE table_name = 'notes' AND column_name = 'embedding_384'`,
    );
    expect(rows).toEqual([{ table_schema: 'the app' }]);
  });

  function free(options: Partial<StaleLockOptions> = {}) {
    return releaseStaleLock({ connection: { connectionString: chain.database.url }, ...options });
  }

  async function makeLock(table: string): Promise<void> {
    await chain.db.query(`CREATE TABLE ${table} (index serial PRIMARY KEY, is_locked integer)`);
    await chain.db.query(`INSERT INTO ${table} (is_locked) VALUES (0)`);
  }

  async function lock(table = 'knex_migrations_lock'): Promise<void> {
    await chain.db.query(`UPDATE ${table} SET is_locked = 1`);
  }

  async function isLocked(table = 'knex_migrations_lock'): Promise<boolean> {
    return (await chain.db.query(`SELECT 1 FROM ${table} WHERE is_locked = 1`)).rows.length > 0;
  }

  async function lease(holder: string, seconds: number): Promise<void> {
    await chain.db.query(
      `UPDATE reembed.leases SET token = token + 1, holder = $1, step = 'fill', expires = clock_timestamp() + make_interval(secs => $2)
       WHERE migration_id = 'segments-hash'`,
      [holder, seconds],
    );
  }

  /** As when the processes behind all leases die: a new token, and nobody to renew it. */
  async function endLeases(): Promise<void> {
    await chain.db.query(
      `UPDATE reembed.leases SET token = token + 1, expires = clock_timestamp() - interval '1 second'`,
    );
  }

  async function holders(): Promise<unknown[]> {
    return (await chain.db.query('SELECT holder FROM reembed.leases')).rows.map((row) => row.holder);
  }

  /** The watcher's second look at the lock is the proof of its first at the holders. */
  async function seenByWatcher(): Promise<void> {
    await waitFor('the watcher to have looked at the holders', async () => {
      const { rows } = await chain.db.query(
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' AND pid <> pg_backend_pid()
           AND query LIKE 'SELECT migration_id, holder%'`,
      );
      return rows.length > 0 ? true : undefined;
    });
  }

  async function withKnex(config: Knex.Config, work: (knex: Knex) => Promise<void>): Promise<void> {
    const knex = createKnex.knex({ client: 'pg', ...config });
    try {
      await work(knex);
    } finally {
      await knex.destroy();
    }
  }
});
