import type { Queryable } from '../../../src/db/types.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import { OLD_MODEL } from './application.ts';
import type { Book } from './book.ts';

/** Clients of the application that write; each row belongs to one. */
export const CLIENTS = 3;

/**
 * `segments` as the other tests have it, with the application's own name of each row (`ref`) and old vectors that are true to their texts.
 * `voice` is another vector column, which nobody may touch.
 */
export async function makeTable(db: Queryable, rows: number, owners: number): Promise<void> {
  await db.query(
    `CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding vector(16), voice vector(4), ref text NOT NULL)`,
  );
  const numbers = Array.from({ length: rows }, (_, i) => i + 1);
  const texts = numbers.map((i) => `passage ${(i * 2_654_435_761).toString(36)} about topic ${i % 37} and item ${i}`);
  const { vectors } = await hashProvider(OLD_MODEL).embed(texts, { kind: 'document' });
  await db.query(
    `INSERT INTO segments (id, text, embedding, voice, ref)
     SELECT i, text, vector::vector, ARRAY[i, 1, 2, 3]::vector, (i % $4) || '-' || i FROM unnest($1::int[], $2::text[], $3::text[]) AS n(i, text, vector)`,
    [numbers, texts, vectors.map((vector) => JSON.stringify([...vector])), owners],
  );
  await db.query('CREATE INDEX ON segments (ref)');
  await db.query(
    'CREATE INDEX segments_embedding ON segments USING ivfflat (embedding vector_cosine_ops) WITH (lists = 5)',
  );
}

/** Writes down what is there before anybody writes. */
export async function openBook(db: Queryable, book: Book): Promise<void> {
  const { rows } = await db.query<{ ref: string; id: string; text: string | null }>(
    'SELECT ref, id::text AS id, text FROM segments',
  );
  for (const { ref, id, text } of rows) book.rows.set(ref, [{ exists: true, id, text, afterSwap: false, epoch: 0 }]);
}
