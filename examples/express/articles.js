import pg from 'pg';
import { createSearch, EmbeddingsService, loadRuntimeSettings, transactionsOf, withActiveModel } from 'reembed';

/** The table's readers and writers. Both work before the migration, through it, across the swap and back. */
export async function openArticles(connectionString, migration) {
  const pool = new pg.Pool({ connectionString });
  // A connection that breaks while it is idle must not end the process.
  pool.on('error', (error) => console.error(error.message));
  const runtime = loadRuntimeSettings();
  const [old, created] = await Promise.all(
    [migration.from, migration].map((model) => EmbeddingsService.init({ ...runtime, model })),
  );
  const encoders = { old, new: created };
  const db = transactionsOf(pool);
  const client = createSearch(db, { migration, encoders });

  return {
    async search(question, { limit, signal }) {
      const { hits, served } = await client.query(question, { limit, signal });
      return { served, hits: hits.map(({ key: [id], text, score }) => ({ id, text, score })) };
    },
    add(body) {
      // May run twice, when a swap overtakes it: nothing in here that a rollback does not undo.
      return withActiveModel(db, { migration, encoders }, async ({ column, encode, db: tx }) => {
        const { rows } = await tx.query(`INSERT INTO articles (body, ${column}) VALUES ($1, $2::vector) RETURNING id`, [
          body,
          await encode(body, 'document'),
        ]);
        return { id: String(rows[0].id) };
      });
    },
    async close() {
      await Promise.all([old.close(), created.close()]);
      await pool.end();
    },
  };
}
