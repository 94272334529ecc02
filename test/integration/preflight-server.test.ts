import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import { openDatabase } from '../../src/db/database.ts';
import { preflight } from '../../src/inspect/preflight.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { planMigration } from '../../src/steps/plan-migration.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { codes, dedicatedConnections, look, messageOf, TABLE } from '../helpers/preflight-bed.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

describe('rights', () => {
  async function asRole<T>(setup: string, work: (ctx: MigrationContext) => Promise<T>): Promise<T> {
    const role = 'preflight_reader';
    await chain.db.query(`DROP OWNED BY ${role}`).catch(() => undefined);
    await chain.db.query(`DROP ROLE IF EXISTS ${role}`);
    await chain.db.query(
      `CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT SELECT ON segments TO ${role}; ${setup.replaceAll('ROLE_NAME', role)}`,
    );
    const url = new URL(chain.database.url);
    url.username = role;
    url.password = 'x';
    const db = openDatabase({ connectionString: url.href, embedded: false });
    try {
      return await work({ ...chain.context(), db });
    } finally {
      await db.close();
    }
  }

  const lookAs = (setup: string, input: Partial<MigrationInput> = {}, stateSchema = 'reembed') =>
    asRole(setup, ({ db }) => preflight({ ...chain.context(input, { stateSchema }), db }));

  it('to alter, to create indexes and to keep the state are named one by one', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('the embedded database has one role');
    await look(chain, TABLE);
    const report = await lookAs('');
    expect(codes(report).sort()).toEqual(['not_owner', 'schema_create_denied', 'state_schema_denied']);
    expect(messageOf(report, 'not_owner')).toContain('"preflight_reader" may not alter "public.segments"');
  });

  it('to read the table, and to look into its schema, are told as what they are', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('the embedded database has one role');
    await look(chain, TABLE);
    const unread = await lookAs('REVOKE SELECT ON segments FROM ROLE_NAME');
    expect(messageOf(unread, 'select_denied')).toContain('This role may not read "public.segments"');
    await expect(asRole('REVOKE SELECT ON segments FROM ROLE_NAME', (ctx) => planMigration(ctx))).rejects.toMatchObject(
      {
        code: 'select_denied',
        message: expect.stringContaining('permission denied for table segments'),
        hint: expect.stringContaining('reembed doctor'),
      },
    );
    const hidden = await lookAs('DROP SCHEMA IF EXISTS hidden CASCADE; CREATE SCHEMA hidden', {
      table: 'hidden.segments',
    });
    expect(codes(hidden)).toContain('catalog_denied');
    expect(messageOf(hidden, 'catalog_denied')).toContain('hidden');
  });

  it('are there for an owner with a state schema of his own', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('the embedded database has one role');
    await look(chain, TABLE);
    const report = await lookAs(
      'ALTER TABLE segments OWNER TO ROLE_NAME; GRANT CREATE ON SCHEMA public TO ROLE_NAME; CREATE SCHEMA kept AUTHORIZATION ROLE_NAME',
      {},
      'kept',
    );
    expect(report.findings).toEqual([]);
  });

  it('forced row security would hide rows from the owner: refused', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('the embedded database has one role');
    await look(
      chain,
      `${TABLE}; ALTER TABLE segments ENABLE ROW LEVEL SECURITY; ALTER TABLE segments FORCE ROW LEVEL SECURITY`,
    );
    const report = await lookAs(
      'ALTER TABLE segments OWNER TO ROLE_NAME; GRANT CREATE ON SCHEMA public TO ROLE_NAME; CREATE SCHEMA kept AUTHORIZATION ROLE_NAME',
      {},
      'kept',
    );
    expect(codes(report)).toEqual(['row_security']);
    expect(messageOf(report, 'row_security')).toContain('enabled on "public.segments" and forced for its owner');
  });

  it('a read-only connection is told', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('a setting of the embedded session would reach every test');
    await look(chain, TABLE);
    const url = new URL(chain.database.url);
    url.searchParams.set('options', '-c default_transaction_read_only=on');
    const db = openDatabase({ connectionString: url.href, embedded: false });
    const report = await preflight({ ...chain.context(), db }).finally(() => db.close());
    expect(codes(report)).toEqual(['read_only']);
  });
});

describe('publications', () => {
  it('without a subscriber are a warning, with a column list nothing', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('the embedded database does not replicate');
    const all = await look(chain, `${TABLE}; CREATE PUBLICATION every_table FOR ALL TABLES`);
    expect(all.findings).toMatchObject([{ severity: 'warning', code: 'publication' }]);
    expect(messageOf(all, 'publication')).toContain('publishes all tables, "public.segments" and reembed\'s state');
    await chain.db.query('DROP PUBLICATION every_table');
  });

  it('with a subscriber are refused: it would stop at the first column that it lacks', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('the embedded database does not replicate');
    const { rows } = await chain.db.query<{ level: string }>(`SELECT current_setting('wal_level') AS level`);
    if (rows[0]?.level !== 'logical') return test.skip(`wal_level is ${rows[0]?.level}, not logical`);
    await chain.db.query(`SELECT pg_create_logical_replication_slot('preflight_slot', 'pgoutput')`);
    try {
      const report = await look(chain, `${TABLE}; CREATE PUBLICATION p FOR TABLE segments`);
      expect(report.findings).toMatchObject([{ severity: 'error', code: 'publication' }]);
      expect(messageOf(report, 'publication')).toContain('1 subscriber(s) would stop');
    } finally {
      await chain.db.query(`DROP PUBLICATION p; SELECT pg_drop_replication_slot('preflight_slot')`);
    }
  });

  it('that fill the table here are a warning', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('the embedded database does not replicate');
    await look(chain, TABLE);
    await chain.db.query(
      `CREATE SUBSCRIPTION filled_from CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)`,
    );
    try {
      await chain.db.query(
        `INSERT INTO pg_catalog.pg_subscription_rel SELECT oid, 'segments'::regclass, 'r', NULL FROM pg_subscription WHERE subname = 'filled_from'`,
      );
      expect(messageOf(await preflight(chain.context()), 'subscriber')).toContain(
        'filled by the subscription "filled_from"',
      );
    } finally {
      await chain.db.query('DROP SUBSCRIPTION filled_from');
    }
  });

  it('that leave the vectors out are no matter', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('the embedded database does not replicate');
    const { rows } = await chain.db.query<{ n: number }>(`SELECT current_setting('server_version_num')::int AS n`);
    if ((rows[0]?.n ?? 0) < 150_000) return test.skip('column lists came with Postgres 15');
    const report = await look(chain, `${TABLE}; CREATE PUBLICATION chosen FOR TABLE segments (id, text)`);
    expect(codes(report)).toEqual([]);
    await chain.db.query('DROP PUBLICATION chosen');
  });

  it('that publish updates of rows without identity would fail every UPDATE', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('the embedded database does not replicate');
    const report = await look(
      chain,
      `${TABLE}; ALTER TABLE segments REPLICA IDENTITY NOTHING; CREATE PUBLICATION p FOR TABLE segments`,
    );
    expect(messageOf(report, 'replica_identity')).toContain('REPLICA IDENTITY NOTHING: every UPDATE fails');
    await chain.db.query('DROP PUBLICATION p');
  });
});
