import knex from 'knex';
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import { describeWith, startOwnServer } from '../helpers/requirements.ts';
import { createTestDatabase } from '../helpers/test-database.ts';

const database = await createTestDatabase();
afterAll(() => database.drop());

test('a test database has pgvector and is reached by URL, by settings and by knex', async () => {
  const sql = "SELECT '[3,4]'::vector <-> '[0,0]'::vector AS distance";
  const one = new pg.Client({ connectionString: database.url });
  const two = new pg.Client(database.settings as pg.ClientConfig);
  for (const client of [one, two]) {
    await client.connect();
    expect((await client.query(sql)).rows).toEqual([{ distance: 5 }]);
    await client.end();
  }
  const byKnex = knex({ client: 'pg', connection: database.url });
  expect((await byKnex.raw(sql)).rows).toEqual([{ distance: 5 }]);
  await byKnex.destroy();
});

const LEFT_BEHIND = `CREATE TABLE one (id bigserial PRIMARY KEY, part vector(3)); CREATE VIEW two AS SELECT * FROM one;
  CREATE SCHEMA reembed; CREATE TABLE reembed.three (n int); CREATE ROLE four; GRANT SELECT ON one TO four;
  CREATE FUNCTION five() RETURNS int LANGUAGE sql AS 'SELECT 5'; CREATE TYPE six AS ENUM ('six'); CREATE PUBLICATION seven FOR TABLE one;
  CREATE TABLE eight (n int) PARTITION BY RANGE (n); CREATE TABLE eight_1 PARTITION OF eight FOR VALUES FROM (1) TO (9);
  SET work_mem = '1MB'; PREPARE nine AS SELECT 9; SELECT pg_advisory_lock(10); CREATE TEMPORARY TABLE eleven (n int); COMMIT; BEGIN`;

const FOUND = `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'reembed' UNION ALL SELECT rolname FROM pg_roles WHERE oid >= 16384
  UNION ALL SELECT proname FROM pg_proc WHERE proname = 'five' UNION ALL SELECT typname FROM pg_type WHERE typname = 'six'
  UNION ALL SELECT pubname FROM pg_publication UNION ALL SELECT name FROM pg_prepared_statements
  UNION ALL SELECT name FROM pg_settings WHERE source = 'session' AND name = 'work_mem'
  UNION ALL SELECT locktype FROM pg_locks WHERE locktype = 'advisory'`;

/** Runs `sql` in a test database and gives it back with the connection still open. */
async function rowsOf(sql: string): Promise<unknown[]> {
  const own = await createTestDatabase();
  const client = new pg.Client({ connectionString: own.url });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query({ text: sql, rowMode: 'array' });
  await own.drop();
  return rows;
}

/** What another test file finds after one that has left `sql` behind. */
async function foundAfter(sql: string, found: string): Promise<unknown[]> {
  await rowsOf(sql);
  return rowsOf(found);
}

// A server makes each file a database of its own.
test.skipIf(!database.embedded)('a test database has nothing of the one before it', async () => {
  expect(await foundAfter(LEFT_BEHIND, FOUND)).toEqual([]);
  // What cannot be emptied is not used again.
  expect(
    await foundAfter(
      'GRANT CREATE ON SCHEMA public TO public',
      "SELECT nspacl::text FROM pg_namespace WHERE oid = 'public'::regnamespace",
    ),
  ).toEqual([['{pg_database_owner=UC/pg_database_owner,=U/pg_database_owner}']]);
  expect(
    await foundAfter('DROP EXTENSION vector', "SELECT extname FROM pg_extension WHERE extname = 'vector'"),
  ).toEqual([['vector']]);
});

describeWith('pgvector', 'a server of the test’s own', () => {
  test('comes back after a crash with everything that was committed', async () => {
    const server = await startOwnServer();
    const client = new pg.Client(server.url);
    client.on('error', () => undefined);
    await client.connect();
    await client.query('CREATE EXTENSION vector; CREATE TABLE kept AS SELECT 1 AS n');
    server.stop('immediate');
    server.start();
    const again = new pg.Client(server.url);
    await again.connect();
    expect((await again.query('SELECT n FROM kept')).rows).toEqual([{ n: 1 }]);
    await again.end();
    server.remove();
  });
});
