import { parseQualifiedName } from '../../config/qualified-name.ts';
import { readTable } from '../../db/catalog.ts';
import type { Queryable } from '../../db/types.ts';

/** What the database says of a table; undefined where several would do. */
export interface FoundColumns {
  readonly table: string | undefined;
  readonly text: string | undefined;
  readonly column: string | undefined;
  /** Of the vectors that are there. */
  readonly dimensions: number | undefined;
  /** False where the named table is none, or has no vectors. */
  readonly isThere: boolean;
  /** What there is to choose from, for a refusal: `segments.embedding`. */
  readonly vectors: readonly string[];
  readonly texts: readonly string[];
}

const TEXT_TYPES: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'citext']);
const VECTOR_TYPES: ReadonlySet<string> = new Set(['vector', 'halfvec']);

/** Looks for vector columns, in the table that is named or in all that the role sees, and for the text beside them. Changes nothing. */
export async function findColumns(
  db: Queryable,
  named: { readonly table: string | undefined; readonly column: string | undefined },
): Promise<FoundColumns> {
  const { rows } = await db.query<{ schema: string; table: string; column: string; visible: boolean }>(
    `SELECT n.nspname AS schema, c.relname AS table, a.attname AS column, pg_catalog.pg_table_is_visible(c.oid) AS visible
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND t.typname IN ('vector', 'halfvec')
       AND NOT c.relispartition ORDER BY 1, 2, a.attnum`,
  );
  const wanted = named.table === undefined ? undefined : parseQualifiedName(named.table);
  const inTable = rows.filter(
    (row) =>
      wanted === undefined ||
      (row.table === wanted.name && (wanted.schema === undefined ? row.visible : row.schema === wanted.schema)),
  );
  const vectors = inTable.filter((row) => named.column === undefined || row.column === named.column);
  const isThere = named.table === undefined || inTable.length > 0;
  const [first] = vectors;
  const one = vectors.length === 1 ? first : undefined;
  const sameTable =
    first !== undefined && vectors.every((row) => row.schema === first.schema && row.table === first.table);
  const info = sameTable ? await readTable(db, { schema: first.schema, name: first.table }) : undefined;
  const texts = info?.columns.filter((column) => TEXT_TYPES.has(column.typeName)).map((column) => column.name) ?? [];
  const vector = info?.columns.find((column) => column.name === one?.column && VECTOR_TYPES.has(column.typeName));
  return {
    table: sameTable ? (named.table ?? (first.visible ? first.table : `${first.schema}.${first.table}`)) : undefined,
    text: texts.length === 1 ? texts[0] : undefined,
    column: one?.column,
    dimensions: vector?.dimensions ?? undefined,
    vectors: (isThere ? inTable : rows).map(({ schema, table, column, visible }) =>
      [...(visible ? [] : [schema]), table, column].join('.'),
    ),
    isThere,
    texts,
  };
}
