import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import type { Queryable } from '../../src/db/types.ts';
import { PreflightError } from '../../src/errors.ts';
import type { ServerFacts } from '../../src/inspect/facts.ts';
import { assertPreflight, preflight } from '../../src/inspect/preflight.ts';
import { columnFindings } from '../../src/inspect/preflight-columns.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { codes, dedicatedConnections, look, messageOf, TABLE } from '../helpers/preflight-bed.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

describe('a table that can be migrated', () => {
  it('has no findings, and its facts are told', async () => {
    const report = await look(
      chain,
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
      chain,
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
    await look(chain, TABLE);
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
      'partition',
      `CREATE TABLE whole (id bigint PRIMARY KEY, text text, embedding vector(8)) PARTITION BY RANGE (id); CREATE TABLE segments PARTITION OF whole DEFAULT`,
      {},
      /"public\.segments" is a partition of "whole"/,
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
    [
      'column_generated',
      'CREATE TABLE segments (id bigint PRIMARY KEY, text text, base vector(8), embedding vector(8) GENERATED ALWAYS AS (base + base) STORED)',
      {},
      /"segments\.embedding" is generated by Postgres/,
    ],
    ['inheritance', `${TABLE}; CREATE TABLE child () INHERITS (segments)`, {}, /has tables that inherit from it/],
  ])('%s of %s', async (code, sql, input, message) => {
    const report = await look(chain, sql, input);
    expect(codes(report)).toEqual([code]);
    expect(messageOf(report, code)).toMatch(message);
    expect(report.findings[0]?.hint).not.toBe('');
    expect(() => assertPreflight(report)).toThrow(PreflightError);
  });

  it.each([
    ['vector', 3072, 'vector(3072) cannot be indexed: pgvector indexes vector up to 2000', "vectorType: 'halfvec'"],
    ['halfvec', 5000, 'halfvec(5000) cannot be indexed: pgvector indexes halfvec up to 4000', "kind: 'none'"],
    ['vector', 16_001, 'The model makes 16001 dimensions, vector holds 16000 at most', 'fewer dimensions'],
  ] as const)('%s of %i dimensions cannot be stored or indexed', async (vectorType, dimensions, message, hint) => {
    await look(chain, TABLE);
    const ctx = chain.context();
    const report = await preflight({ ...ctx, definition: { ...ctx.definition, vectorType, dimensions } });
    expect(report.findings[0]).toMatchObject({
      code: dimensions > 16_000 ? 'too_many_dimensions' : 'not_indexable',
      message: expect.stringContaining(message),
    });
    expect(report.findings[0]?.hint).toContain(hint);
  });

  it('partitions on another server, by name', async () => {
    const report = await look(
      chain,
      `CREATE TABLE segments (id bigint, text text, embedding vector(8)) PARTITION BY RANGE (id);
       CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere;
       CREATE FOREIGN TABLE far PARTITION OF segments FOR VALUES FROM (0) TO (9) SERVER elsewhere`,
    );
    // Postgres itself allows no primary key over foreign partitions.
    expect(codes(report)).toEqual(['no_primary_key', 'foreign_partition']);
    expect(messageOf(report, 'foreign_partition')).toContain('has partitions that are foreign tables: "public.far".');
  });

  it('an unlogged table is a warning, a temporary one is refused', async (test) => {
    const unlogged = await look(chain, TABLE.replace('CREATE', 'CREATE UNLOGGED'));
    expect(unlogged).toMatchObject({ ok: true, findings: [{ code: 'unlogged_table', severity: 'warning' }] });
    if (dedicatedConnections(chain)) return test.skip('a temporary table is seen by one connection alone');
    expect(codes(await look(chain, TABLE.replace('CREATE', 'CREATE TEMPORARY')))).toContain('temporary_table');
  });

  it.each<[code: string, server: Partial<ServerFacts>, message: string]>([
    ['postgres_too_old', { versionNumber: 120_022, version: '12.22' }, 'This is Postgres 12.22, 13 or newer is needed'],
    ['standby', { standby: true, readOnly: true }, 'This server is a standby'],
  ])('%s, as a server says it of itself', async (code, server, message) => {
    await look(chain, TABLE);
    // An old server and a standby are not at hand: the answer to the first question is changed, nothing else.
    const query: Queryable['query'] = async (text, params) => {
      const answer = await chain.db.query<object>(text, params);
      const rows = answer.rows.map((row) => ('standby' in row ? { ...row, ...server } : row));
      return { ...answer, rows: rows as never };
    };
    const db = { ...chain.db, query };
    const report = await preflight({ ...chain.context(), db });
    expect(codes(report)).toEqual([code]);
    expect(messageOf(report, code)).toContain(message);
  });

  it('a pgvector that has neither the type nor the index method', async () => {
    const { facts } = await look(chain, TABLE);
    if (facts === undefined) return expect.fail('the table was not read');
    const { table, extension, server } = facts;
    const old = { ...extension, version: '0.4.4', hasHalfvec: false };
    const methods = { ...server, accessMethods: ['btree', 'ivfflat'] };
    const { definition } = chain.context({ vectorType: 'halfvec', index: { kind: 'hnsw' } });
    const found = columnFindings(definition, table, old, methods, []);
    expect(found.map((finding) => finding.message)).toEqual([
      'pgvector 0.4.4 has no type halfvec; 0.7.0 or newer has.',
      'pgvector 0.4.4 has no index method hnsw.',
    ]);
    expect(found.map((finding) => finding.code)).toEqual(['halfvec_missing', 'method_missing']);
  });

  it('a pooler that shares server processes between connections', async (test) => {
    if (!dedicatedConnections(chain)) return test.skip('all connections of the embedded database share one session');
    await look(chain, TABLE);
    const shared = await chain.db.openSession();
    // PgBouncer in transaction mode gives an idle connection's server process to the next one that asks.
    const pooled = { ...shared, close: async () => undefined };
    const report = await preflight({ ...chain.context(), db: { ...chain.db, openSession: async () => pooled } });
    await shared.close();
    expect(codes(report)).toEqual(['transaction_pooler']);
    expect(report.findings[0]?.hint).toContain('REEMBED_DIRECT_URL');
  });

  it('tells all of them at once, one line each', async () => {
    const report = await look(chain, 'CREATE TABLE segments (id bigint, body text, embedding text)', { text: 'txt' });
    expect(codes(report)).toEqual(['no_primary_key', 'text_missing', 'not_a_vector']);
    expect(() => assertPreflight(report)).toThrow(
      /3 things stand in the way of the migration "segments-hash":\n {2}- .*\n {2}- .*\n {2}- /,
    );
  });

  it('throws a single one as itself, with its code and hint', async () => {
    const report = await look(chain, 'CREATE TABLE segments (id bigint, text text, embedding vector(8))');
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
      const report = await look(chain, 'CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding real[])');
      expect(messageOf(report, 'extension_missing')).toContain('"vector" (pgvector) is not installed');
      expect(codes(report)).toContain('not_a_vector');
    } finally {
      await chain.db.query('CREATE EXTENSION vector');
    }
  });
});
