import { readVectorExtension } from '../../db/catalog.ts';
import type { Database } from '../../db/types.ts';
import { textArrayLiteral } from '../../sql/array-literal.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { encodeVectorArray } from '../../vector/binary.ts';
import type { Passage } from './demo-files.ts';

export const DEMO_INDEX = 'idx_segments_text_embedding_ivfflat';
/** What the reference formula gives for 1,000 rows: min(1000, max(100, √rows)). */
const LISTS = 100;
const ROWS_A_STATEMENT = 250;

/** Removes what an earlier demo left in its own database. */
export async function clearDemo(db: Database): Promise<void> {
  await db.query('DROP TABLE IF EXISTS segments, knex_migrations, knex_migrations_lock');
  await db.query('DROP SCHEMA IF EXISTS reembed CASCADE');
}

/** The table as an application has it before a migration: text, its title, the older vectors and their index. */
export async function createDemoTable(
  db: Database,
  passages: readonly Passage[],
  vectors: readonly Float32Array[],
): Promise<void> {
  const { vectorOid } = await readVectorExtension(db);
  await db.query(
    `CREATE TABLE segments (id integer PRIMARY KEY, title text NOT NULL, text text NOT NULL, embedding vector(${vectors[0]?.length ?? 0}) NOT NULL)`,
  );
  for (let start = 0; start < passages.length; start += ROWS_A_STATEMENT) {
    const rows = passages.slice(start, start + ROWS_A_STATEMENT);
    const binary = encodeVectorArray(vectors.slice(start, start + ROWS_A_STATEMENT), vectorOid);
    await db.query(
      `INSERT INTO segments (id, title, text, embedding)
       SELECT $1::int + u.position::int, u.title, u.text, u.embedding
       FROM unnest($2::text[], $3::text[], $4::vector[]) WITH ORDINALITY AS u(title, text, embedding, position)`,
      [
        start,
        textArrayLiteral(rows.map((row) => row.title)),
        textArrayLiteral(rows.map((row) => row.text)),
        Buffer.from(binary.buffer),
      ],
    );
  }
  await db.query(
    `CREATE INDEX ${DEMO_INDEX} ON segments USING ivfflat (embedding vector_cosine_ops) WITH (lists = ${LISTS})`,
  );
  await db.query('ANALYZE segments');
}

export interface Sizes {
  /** Of the vectors as stored, without the rest of their rows. */
  readonly vectorBytes: number;
  readonly indexBytes: number;
}

/** What the vectors of a column and the index on it take, as the catalog says now. */
export async function readSizes(db: Database, column: string, index: string | undefined): Promise<Sizes> {
  const { rows } = await db.query<Sizes>(
    `SELECT COALESCE(sum(pg_catalog.pg_column_size(${quoteIdentifier(column)})), 0)::float8 AS "vectorBytes",
       COALESCE(pg_catalog.pg_relation_size(pg_catalog.to_regclass($1)), 0)::float8 AS "indexBytes" FROM segments`,
    [index === undefined ? null : quoteIdentifier(index)],
  );
  return rows[0] ?? { vectorBytes: 0, indexBytes: 0 };
}

/** Gives every row another row's vector, as a test does to see that what is measured comes from the table. */
export async function permuteColumn(db: Database, order: readonly number[]): Promise<void> {
  const from = order.map((position) => position + 1);
  const to = order.map((_, position) => position + 1);
  await db.query(
    `UPDATE segments t SET embedding = s.embedding
     FROM unnest($1::int[], $2::int[]) AS p(source, target) JOIN segments s ON s.id = p.source WHERE t.id = p.target`,
    [`{${from.join(',')}}`, `{${to.join(',')}}`],
  );
  await db.query(`REINDEX INDEX ${DEMO_INDEX}`);
}

/** A fixed random order of 0 … count - 1 for a seed (Fisher-Yates over a 32-bit xorshift). */
export function shuffledOrder(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  let state = seed | 0 || 1;
  for (let i = count - 1; i > 0; i--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order;
}
