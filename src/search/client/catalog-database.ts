import type { Database, Queryable } from '../../db/types.ts';

/**
 * An application's transaction as the database that reading the catalog takes. Rows travel as JSON, so that no type parser of the
 * application's driver changes them. OIDs arrive as text.
 */
export function catalogDatabase(tx: Queryable): Database {
  const query: Queryable['query'] = async <R>(text: string, params?: readonly unknown[]) => {
    const { rows } = await tx.query<{ row: string }>(
      `SELECT pg_catalog.row_to_json(q)::text AS row FROM (${text}) q`,
      params,
    );
    return { rows: rows.map(({ row }) => JSON.parse(row) as R), rowCount: rows.length };
  };
  return {
    embedded: false,
    description: "the application's own connection",
    query,
    // Whoever asks for a transaction here only reads: nothing of it is kept, its settings neither.
    async transaction(work) {
      await tx.query('SAVEPOINT reembed_catalog');
      const result = await work(tx);
      await tx.query('ROLLBACK TO SAVEPOINT reembed_catalog');
      return result;
    },
    copyRows: () => Promise.reject(new Error("an application's transaction copies nothing")),
    openSession: () => Promise.reject(new Error("an application's transaction opens no sessions")),
    close: async () => undefined,
  };
}
