import type { Queryable } from '../db/types.ts';

/** Vector columns of ordinary tables with so many dimensions, but for the one given: `schema.table.column`. */
export async function readOtherVectorColumns(
  db: Queryable,
  tableOid: number,
  column: string,
  dimensions: number,
): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT n.nspname || '.' || c.relname || '.' || a.attname AS name
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND t.typname IN ('vector', 'halfvec')
       AND a.atttypmod = $3 AND NOT (a.attrelid = $1 AND a.attname = $2)
     ORDER BY 1 LIMIT 20`,
    [tableOid, column, dimensions],
  );
  return rows.map((row) => row.name);
}
