import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import { openDatabase } from '../../src/db/database.ts';
import { PreflightError } from '../../src/errors.ts';
import { assertPreflight, type PreflightReport, preflight } from '../../src/inspect/preflight.ts';
import { expand } from '../../src/steps/expand.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

/** Makes `segments` anew from SQL and looks at it. */
async function look(sql: string, input: Partial<MigrationInput> = {}): Promise<PreflightReport> {
  await chain.db.query('DROP TABLE IF EXISTS segments CASCADE');
  await chain.db.query('DROP VIEW IF EXISTS passages');
  await chain.db.query(sql);
  return preflight(chain.context(input));
}

const TABLE = 'CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding vector(8), plain jsonb)';

function codes(report: PreflightReport): string[] {
  return report.findings.map((finding) => finding.code);
}

function messageOf(report: PreflightReport, code: string): string {
  return report.findings.find((finding) => finding.code === code)?.message ?? `no finding ${code} in ${codes(report)}`;
}

function dedicatedConnections(): boolean {
  return !chain.db.embedded;
}

describe('a table that can be migrated', () => {
  it('has no findings, and its facts are told', async () => {
    const report = await look(
      `${TABLE}; CREATE INDEX old_idx ON segments USING ivfflat (embedding vector_l2_ops) WITH (lists = 7);
       CREATE INDEX part_idx ON segments USING hnsw ((embedding::halfvec(8)) halfvec_l2_ops) WHERE id > 5;
       INSERT INTO segments SELECT i, 't', '[1,2,3,4,5,6,7,8]' FROM generate_series(1, 12) i`,
    );
    expect(report.findings).toEqual([]);
    expect(report.facts).toMatchObject({ rowsEstimate: 12, rowsCounted: true, oldDimensions: 8, oldDistance: 'l2' });
    expect(report.facts?.annIndexes).toMatchObject([
      { name: 'old_idx', method: 'ivfflat', lists: 7, distance: 'l2' },
      { name: 'part_idx', method: 'hnsw', distance: 'l2' },
    ]);
    assertPreflight(report);
  });

  it('may have names that need quoting and a composite key', async () => {
    await chain.db.query(`CREATE SCHEMA IF NOT EXISTS "My App"`);
    const report = await look(
      `DROP TABLE IF EXISTS "My App"."Seg.ments";
       CREATE TABLE "My App"."Seg.ments" ("Doc ID" uuid, n int, "the ""text""" text, "Vec tor" vector(8), PRIMARY KEY ("Doc ID", n))`,
      {
        table: { schema: 'My App', name: 'Seg.ments' },
        text: 'the "text"',
        column: 'Vec tor',
      } as Partial<MigrationInput>,
    );
    expect(report.findings).toEqual([]);
    expect(report.facts?.table.key.map((column) => column.name)).toEqual(['Doc ID', 'n']);
    await chain.db.query('DROP SCHEMA "My App" CASCADE');
  });

  it('is not changed by being looked at', async () => {
    await look(TABLE);
    const { rows } = await chain.db.query(
      `SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'reembed'`,
    );
    expect(rows).toEqual([]);
  });
});

describe('each thing that stands in the way is named', () => {
  it.each<[code: string, sql: string, input: Partial<MigrationInput>, message: RegExp]>([
    [
      'table_missing',
      TABLE,
      { table: 'segmets' },
      /Table "segmets" does not exist; tables with a vector column: public\.segments/,
    ],
    [
      'not_a_table',
      `${TABLE}; CREATE VIEW passages AS SELECT * FROM segments`,
      { table: 'passages' },
      /"public\.passages" is a view, not a table/,
    ],
    [
      'partitioned',
      'CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding vector(8)) PARTITION BY HASH (id)',
      {},
      /is partitioned/,
    ],
    ['no_primary_key', 'CREATE TABLE segments (id bigint, text text, embedding vector(8))', {}, /has no primary key/],
    ['text_missing', TABLE, { text: 'body' }, /has no column "body"; its columns: id, text, embedding, plain/],
    [
      'text_generated',
      `CREATE TABLE segments (id bigint PRIMARY KEY, title text, text text GENERATED ALWAYS AS (title || '.') STORED, embedding vector(8))`,
      {},
      /"segments\.text" is generated/,
    ],
    ['column_missing', TABLE, { column: 'vec' }, /has no column "vec"/],
    [
      'not_a_vector',
      TABLE,
      { column: 'plain' },
      /"segments\.plain" is jsonb, a vector or halfvec was expected; the table's vector columns: embedding/,
    ],
    [
      'target_taken',
      `${TABLE}; ALTER TABLE segments ADD COLUMN embedding_384 vector(384)`,
      {},
      /"segments\.embedding_384" \(vector\(384\)\) exists already and was not made by this migration/,
    ],
    [
      'name_taken',
      `${TABLE}; ALTER TABLE segments ADD COLUMN embedding_384_hash text`,
      {},
      /"segments\.embedding_384_hash" belongs to the application/,
    ],
    [
      'name_taken',
      `${TABLE}; ALTER TABLE segments ADD COLUMN embedding_model text`,
      {},
      /"segments\.embedding_model" belongs to the application/,
    ],
    [
      'name_taken',
      `${TABLE}; ALTER TABLE segments ADD COLUMN embedding_old vector(8)`,
      {},
      /"segments\.embedding_old" exists, and the swap needs its name/,
    ],
    [
      'name_taken',
      `${TABLE}; CREATE INDEX i ON segments USING hnsw (embedding vector_l2_ops); CREATE INDEX i_old ON segments (id)`,
      {},
      /Index "i_old" exists/,
    ],
    [
      'update_rule',
      `${TABLE}; CREATE RULE r AS ON UPDATE TO segments DO ALSO NOTHING`,
      {},
      /Rules rewrite every UPDATE/,
    ],
    ['inheritance', `${TABLE}; CREATE TABLE child () INHERITS (segments)`, {}, /has tables that inherit from it/],
  ])('%s of %s', async (code, sql, input, message) => {
    const report = await look(sql, input);
    expect(codes(report)).toEqual([code]);
    expect(messageOf(report, code)).toMatch(message);
    expect(report.findings[0]?.hint).not.toBe('');
    expect(() => assertPreflight(report)).toThrow(PreflightError);
  });

  it.each([
    ['vector', 3072, 'vector(3072) cannot be indexed: pgvector indexes vector up to 2000', "vectorType: 'halfvec'"],
    ['halfvec', 5000, 'halfvec(5000) cannot be indexed: pgvector indexes halfvec up to 4000', "kind: 'none'"],
  ] as const)('%s of %i dimensions cannot be indexed', async (vectorType, dimensions, message, hint) => {
    await look(TABLE);
    const ctx = chain.context();
    const report = await preflight({ ...ctx, definition: { ...ctx.definition, vectorType, dimensions } });
    expect(messageOf(report, 'not_indexable')).toContain(message);
    expect(report.findings[0]?.hint).toContain(hint);
  });

  it('a pooler that shares server processes between connections', async (test) => {
    if (!dedicatedConnections()) return test.skip('all connections of the embedded database share one session');
    await look(TABLE);
    const shared = await chain.db.openSession();
    // PgBouncer in transaction mode gives an idle connection's server process to the next one that asks.
    const pooled = { ...shared, close: async () => undefined };
    const report = await preflight({ ...chain.context(), db: { ...chain.db, openSession: async () => pooled } });
    await shared.close();
    expect(codes(report)).toEqual(['transaction_pooler']);
    expect(report.findings[0]?.hint).toContain('REEMBED_DIRECT_URL');
  });

  it('tells all of them at once, one line each', async () => {
    const report = await look('CREATE TABLE segments (id bigint, body text, embedding text)', { text: 'txt' });
    expect(codes(report)).toEqual(['no_primary_key', 'text_missing', 'not_a_vector']);
    expect(() => assertPreflight(report)).toThrow(
      /3 things stand in the way of the migration "segments-hash":\n {2}- .*\n {2}- .*\n {2}- /,
    );
  });

  it('throws a single one as itself, with its code and hint', async () => {
    const report = await look('CREATE TABLE segments (id bigint, text text, embedding vector(8))');
    expect(() => assertPreflight(report)).toThrow(
      expect.objectContaining({
        code: 'no_primary_key',
        step: 'expand',
        hint: expect.stringContaining('ADD COLUMN id'),
      }),
    );
  });

  it('says that the extension is missing', async () => {
    await chain.db.query('DROP EXTENSION vector CASCADE');
    try {
      const report = await look('CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding real[])');
      expect(messageOf(report, 'extension_missing')).toContain('"vector" (pgvector) is not installed');
      expect(codes(report)).toContain('not_a_vector');
    } finally {
      await chain.db.query('CREATE EXTENSION vector');
    }
  });
});

describe('triggers of the user', () => {
  const AUDIT = `${TABLE}; CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`;

  it('that every backfilled row would fire are refused, unless that is wanted', async () => {
    const sql = `${AUDIT}; CREATE TRIGGER audit BEFORE UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION touch()`;
    expect(messageOf(await look(sql), 'user_triggers')).toContain('own UPDATE triggers: audit');
    expect(codes(await look(sql, { userTriggers: 'fire' }))).toEqual([]);
  });

  it('for a statement count as well', async () => {
    const sql = `${AUDIT}; CREATE TRIGGER webhook AFTER INSERT OR UPDATE ON segments FOR EACH STATEMENT EXECUTE FUNCTION touch()`;
    expect(codes(await look(sql))).toEqual(['user_triggers']);
  });

  it.each([
    ['declared for other columns', 'BEFORE UPDATE OF text ON segments'],
    ['on INSERT', 'BEFORE INSERT ON segments'],
  ])('%s do not matter', async (_, when) => {
    const report = await look(`${AUDIT}; CREATE TRIGGER other ${when} FOR EACH ROW EXECUTE FUNCTION touch()`);
    expect(codes(report)).toEqual([]);
  });

  it('that are disabled do not matter', async () => {
    const report = await look(
      `${AUDIT}; CREATE TRIGGER audit BEFORE UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION touch(); ALTER TABLE segments DISABLE TRIGGER audit`,
    );
    expect(codes(report)).toEqual([]);
  });
});

describe('what reads the old column', () => {
  it('is a warning with what to do about it', async () => {
    const report = await look(`${TABLE}; CREATE VIEW passages AS SELECT id, embedding FROM segments`);
    expect(report.ok).toBe(true);
    expect(report.findings).toMatchObject([
      { severity: 'warning', code: 'dependent_bound', message: expect.stringContaining('public.passages') },
    ]);
  });

  it('is found in the source of functions', async () => {
    const report = await look(
      `${TABLE}; CREATE OR REPLACE FUNCTION find_near(q vector) RETURNS SETOF bigint LANGUAGE sql AS
       'SELECT id FROM segments ORDER BY embedding <=> q LIMIT 5'`,
    );
    expect(codes(report)).toEqual(['dependent_mentions']);
    await chain.db.query('DROP FUNCTION find_near');
  });
});

describe('an undeclared number of dimensions', () => {
  it('is a warning, and the stored vectors tell it', async () => {
    const report = await look(
      `CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding vector); INSERT INTO segments VALUES (1, 't', '[1,2,3]')`,
    );
    expect(codes(report)).toEqual(['no_dimensions']);
    expect(report.facts?.oldDimensions).toBe(3);
  });
});

describe('around a migration of one’s own', () => {
  it('a repeated 005 finds nothing', async () => {
    await look(TABLE);
    const ctx = chain.context();
    await expand(ctx);
    expect((await preflight(ctx)).findings).toEqual([]);
    await chain.db.query('DROP SCHEMA reembed CASCADE');
  });

  it('a column of ours with another size is told with both sizes', async () => {
    await look(TABLE);
    await expand(chain.context());
    const report = await preflight(chain.context({ target: 'embedding_384', dimensions: 512, model: 'hash/512' }));
    expect(messageOf(report, 'target_dimensions')).toBe(
      'segments.embedding_384 is vector(384), the model makes 512 dimensions.',
    );
    await chain.db.query('DROP SCHEMA reembed CASCADE');
  });

  it('two migrations of one column at a time are refused', async () => {
    await look(TABLE);
    await expand(chain.context());
    const report = await preflight(chain.context({ id: 'other', dimensions: 64, model: 'hash/64' }));
    expect(messageOf(report, 'migration_overlaps')).toContain('"segments-hash" (phase expanded) already works on');
    await chain.db.query('DROP SCHEMA reembed CASCADE');
  });

  it('columns whose state was dropped are a warning: they are made again', async () => {
    await look(TABLE);
    await expand(chain.context());
    await chain.db.query('DROP SCHEMA reembed CASCADE');
    const report = await preflight(chain.context());
    expect(codes(report)).toEqual(['target_left_over']);
    expect(report.ok).toBe(true);
  });
});

describe('rights', () => {
  async function asRole(setup: string, state = 'reembed'): Promise<PreflightReport> {
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
      return await preflight({ ...chain.context({}, { stateSchema: state }), db });
    } finally {
      await db.close();
    }
  }

  it('to alter, to create indexes and to keep the state are named one by one', async (test) => {
    if (!dedicatedConnections()) return test.skip('the embedded database has one role');
    await look(TABLE);
    const report = await asRole('');
    expect(codes(report).sort()).toEqual(['not_owner', 'schema_create_denied', 'state_schema_denied']);
    expect(messageOf(report, 'not_owner')).toContain('"preflight_reader" may not alter "public.segments"');
  });

  it('are there for an owner with a state schema of his own', async (test) => {
    if (!dedicatedConnections()) return test.skip('the embedded database has one role');
    await look(TABLE);
    const report = await asRole(
      'ALTER TABLE segments OWNER TO ROLE_NAME; GRANT CREATE ON SCHEMA public TO ROLE_NAME; CREATE SCHEMA kept AUTHORIZATION ROLE_NAME',
      'kept',
    );
    expect(report.findings).toEqual([]);
  });

  it('forced row security would hide rows from the owner: refused', async (test) => {
    if (!dedicatedConnections()) return test.skip('the embedded database has one role');
    await look(
      `${TABLE}; ALTER TABLE segments ENABLE ROW LEVEL SECURITY; ALTER TABLE segments FORCE ROW LEVEL SECURITY`,
    );
    const report = await asRole(
      'ALTER TABLE segments OWNER TO ROLE_NAME; GRANT CREATE ON SCHEMA public TO ROLE_NAME; CREATE SCHEMA kept AUTHORIZATION ROLE_NAME',
      'kept',
    );
    expect(codes(report)).toEqual(['row_security']);
    expect(messageOf(report, 'row_security')).toContain('enabled on "public.segments" and forced for its owner');
  });

  it('a read-only connection is told', async (test) => {
    if (!dedicatedConnections()) return test.skip('a setting of the embedded session would reach every test');
    await look(TABLE);
    const url = new URL(chain.database.url);
    url.searchParams.set('options', '-c default_transaction_read_only=on');
    const db = openDatabase({ connectionString: url.href, embedded: false });
    const report = await preflight({ ...chain.context(), db }).finally(() => db.close());
    expect(codes(report)).toEqual(['read_only']);
  });
});

describe('publications', () => {
  it('without a subscriber are a warning, with a column list nothing', async (test) => {
    if (!dedicatedConnections()) return test.skip('the embedded database does not replicate');
    const all = await look(`${TABLE}; CREATE PUBLICATION every_table FOR ALL TABLES`);
    expect(all.findings).toMatchObject([{ severity: 'warning', code: 'publication' }]);
    expect(messageOf(all, 'publication')).toContain('publishes all tables, "public.segments" and reembed\'s state');
    await chain.db.query('DROP PUBLICATION every_table');
  });

  it('with a subscriber are refused: it would stop at the first column that it lacks', async (test) => {
    if (!dedicatedConnections()) return test.skip('the embedded database does not replicate');
    const { rows } = await chain.db.query<{ level: string }>(`SELECT current_setting('wal_level') AS level`);
    if (rows[0]?.level !== 'logical') return test.skip(`wal_level is ${rows[0]?.level}, not logical`);
    await chain.db.query(`SELECT pg_create_logical_replication_slot('preflight_slot', 'pgoutput')`);
    try {
      const report = await look(`${TABLE}; CREATE PUBLICATION p FOR TABLE segments`);
      expect(report.findings).toMatchObject([{ severity: 'error', code: 'publication' }]);
      expect(messageOf(report, 'publication')).toContain('1 subscriber(s) would stop');
    } finally {
      await chain.db.query(`DROP PUBLICATION p; SELECT pg_drop_replication_slot('preflight_slot')`);
    }
  });

  it('that fill the table here are a warning', async (test) => {
    if (!dedicatedConnections()) return test.skip('the embedded database does not replicate');
    await look(TABLE);
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
    if (!dedicatedConnections()) return test.skip('the embedded database does not replicate');
    const { rows } = await chain.db.query<{ n: number }>(`SELECT current_setting('server_version_num')::int AS n`);
    if ((rows[0]?.n ?? 0) < 150_000) return test.skip('column lists came with Postgres 15');
    const report = await look(`${TABLE}; CREATE PUBLICATION chosen FOR TABLE segments (id, text)`);
    expect(codes(report)).toEqual([]);
    await chain.db.query('DROP PUBLICATION chosen');
  });

  it('that publish updates of rows without identity would fail every UPDATE', async (test) => {
    if (!dedicatedConnections()) return test.skip('the embedded database does not replicate');
    const report = await look(
      `${TABLE}; ALTER TABLE segments REPLICA IDENTITY NOTHING; CREATE PUBLICATION p FOR TABLE segments`,
    );
    expect(messageOf(report, 'replica_identity')).toContain('REPLICA IDENTITY NOTHING: every UPDATE fails');
    await chain.db.query('DROP PUBLICATION p');
  });
});
