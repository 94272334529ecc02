import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { isConnectionLoss } from '../../src/db/sqlstate.ts';
import type { Database } from '../../src/db/types.ts';
import { describeOnServer } from '../helpers/fault-bed.ts';
import { startTcpProxy } from '../helpers/tcp-proxy.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/test-database.ts';

describeOnServer('a connection that is dead but open', () => {
  let database: TestDatabase;
  let proxy: Awaited<ReturnType<typeof startTcpProxy>>;
  let db: Database;
  beforeAll(async () => {
    database = await createTestDatabase();
    proxy = await startTcpProxy(database.url);
    db = openDatabase({ connectionString: proxy.through(database.url), embedded: false });
  });
  afterAll(async () => {
    await db.close();
    await proxy.close();
    await database.drop();
  });

  it('counts as lost when no answer comes, can be closed, and another one takes its place', async () => {
    const session = await db.openSession();
    expect((await session.query('SELECT 1 AS one', [], { answerWithinMs: 60_000 })).rows).toEqual([{ one: 1 }]);
    const error = await session.query('SELECT pg_sleep(600)', [], { answerWithinMs: 300 }).catch((thrown) => thrown);
    expect(error.message).toMatch(/^Postgres has not answered for \d+ s: the connection is dead$/);
    expect(isConnectionLoss(error)).toBe(true);
    // It would otherwise wait for a farewell that never comes.
    await session.close();
    const next = await db.openSession();
    expect((await next.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
    await next.close();
  });
});
