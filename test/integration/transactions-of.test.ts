import pg from 'pg';
import { expect, it } from 'vitest';
import { transactionsOf } from '../../src/search/transactions-of.ts';
import { describeOnServer } from '../helpers/fault-bed.ts';
import { createTestDatabase } from '../helpers/test-database.ts';

describeOnServer('an application behind transactionsOf', () => {
  it('outlives a connection that is ended during a request', async () => {
    const database = await createTestDatabase();
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    pool.on('error', () => undefined);
    const source = transactionsOf(pool);
    const ended = source.transaction((tx) => tx.query('SELECT pg_terminate_backend(pg_backend_pid())'));
    // Unheard, the client's own error would end the process: the test runner reports it and fails.
    await expect(ended).rejects.toThrow(/terminat/);
    const { rows } = await source.transaction((tx) => tx.query<{ one: number }>('SELECT 1 AS one'));
    expect(rows).toEqual([{ one: 1 }]);
    await pool.end();
    await database.drop();
  });
});
