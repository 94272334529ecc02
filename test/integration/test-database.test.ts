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
