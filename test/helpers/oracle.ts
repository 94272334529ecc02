import type { Database } from '../../src/db/types.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import { decodeVector } from '../../src/vector/binary.ts';
import { cosine } from '../../src/vector/math.ts';

/** A table as a test made it. All names are SQL, quoted where they need it. */
export interface Watched {
  readonly table: string;
  /** An expression that tells its rows apart, e.g. `(a, b)`. */
  readonly key: string;
  readonly text: string;
  /** Where pgvector lives; `public` unless said. */
  readonly extension?: string;
}

export const SEGMENTS: Watched = { table: 'segments', key: 'id', text: 'text' };

export interface OracleOptions {
  readonly provider?: EmbeddingProvider;
  /** Cosine from which a stored vector counts as the model's; 0.999999 unless said. */
  readonly minCosine?: number;
}

/**
 * Embeds every row's present text again, apart from reembed's own state and counts.
 *
 * @returns the keys of rows whose stored vector is another one or NULL; blank and NULL texts are left out
 */
export async function wrongVectors(
  db: Database,
  watched: Watched,
  column: string,
  options: OracleOptions = {},
): Promise<string[]> {
  const { provider = hashProvider('hash/384'), minCosine = 0.999999 } = options;
  const extension = watched.extension ?? 'public';
  const { rows } = await db.query<{ key: string; text: string; bytes: Buffer | null }>(
    `SELECT (${watched.key})::text AS key, ${watched.text}::text AS text,
       ${extension}.vector_send(${column}::${extension}.vector) AS bytes
     FROM ${watched.table} WHERE ${watched.text}::text COLLATE "C" ~ '[^[:space:]]' ORDER BY ${watched.key}`,
  );
  const { vectors } = await provider.embed(
    rows.map((row) => row.text),
    { kind: 'document' },
  );
  const wrong = rows.filter((row, i) => {
    const expected = vectors[i];
    return row.bytes === null || expected === undefined || !(cosine(decodeVector(row.bytes), expected) >= minCosine);
  });
  return wrong.map((row) => row.key);
}

/** One checksum over the given columns of all rows: equal only where every byte is. */
export async function checksumOf(db: Database, watched: Watched, columns: string, where = 'true'): Promise<string> {
  const { rows } = await db.query<{ sum: string }>(
    `SELECT count(*) || ' rows ' || coalesce(md5(string_agg(ROW(${watched.key}, ${columns})::text, '|' ORDER BY ${watched.key})), '') AS sum
     FROM ${watched.table} WHERE ${where}`,
  );
  return rows[0]?.sum ?? '';
}

/** Columns, indexes, triggers, constraints, grants and comments of a table and its partitions: everything that its owner could miss afterwards. */
export async function catalogOf(db: Database, table: string): Promise<unknown[]> {
  const { rows } = await db.query(
    `WITH t AS (
       SELECT $1::text::regclass AS oid, '' AS part
       UNION SELECT relid, relid::regclass || '.' FROM pg_partition_tree($1::text::regclass) WHERE level > 0)
     SELECT 'column' AS kind, t.part || a.attname AS name, format_type(a.atttypid, a.atttypmod) AS definition,
       concat_ws(' ', CASE WHEN a.attnotnull THEN 'NOT NULL' END, pg_get_expr(d.adbin, d.adrelid), a.attacl::text,
         col_description(a.attrelid, a.attnum), nullif(a.attstattarget, -1)) AS extra
       FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
       LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     UNION ALL SELECT 'index', t.part || c.relname, pg_get_indexdef(c.oid), i.indisvalid::text
       FROM t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid
     UNION ALL SELECT 'trigger', t.part || tgname, pg_get_triggerdef(g.oid), tgenabled::text FROM t JOIN pg_trigger g ON g.tgrelid = t.oid
     UNION ALL SELECT 'constraint', t.part || conname, pg_get_constraintdef(k.oid),
         concat_ws(' ', convalidated::text, obj_description(k.oid, 'pg_constraint'))
       FROM t JOIN pg_constraint k ON k.conrelid = t.oid WHERE k.contype <> 'n'
     ORDER BY 1, 2`,
    [table],
  );
  return rows;
}
