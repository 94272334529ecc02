import type { Distance } from '../config/types.ts';
import { readTable, readVectorExtension } from '../db/catalog.ts';
import type { ColumnInfo, IndexInfo, TableInfo, VectorExtension } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { parseIndexDefinition } from '../sql/index-definition.ts';
import { type Quantization, quantizationOf } from '../sql/quantization.ts';
import { tableSizeSql } from '../sql/relation-size.ts';
import type { MigrationContext } from '../state/context.ts';

/** An approximate index on a vector column. */
export interface AnnIndex {
  readonly name: string;
  readonly schema: string;
  readonly method: 'ivfflat' | 'hnsw';
  readonly valid: boolean;
  /** Undefined for an operator class that is none of the three (L1, bits). */
  readonly distance: Distance | undefined;
  /** Of IVFFlat, where the index says it. */
  readonly lists: number | undefined;
  /** How it holds the column's vectors; undefined when it is over another expression. */
  readonly quantization: Quantization | undefined;
  readonly definition: string;
}

/** The server as this role sees it. */
export interface ServerFacts {
  /** E.g. 150018. */
  readonly versionNumber: number;
  readonly version: string;
  readonly role: string;
  readonly standby: boolean;
  readonly readOnly: boolean;
  readonly accessMethods: readonly string[];
}

/** What is known about a migration's table before anything is changed. */
export interface TableFacts {
  readonly table: TableInfo;
  readonly extension: VectorExtension;
  readonly server: ServerFacts;
  /** Counted where the table is small, else the planner's estimate. */
  readonly rowsEstimate: number;
  readonly rowsCounted: boolean;
  /** Of each partition of a partitioned table; undefined for an ordinary one. */
  readonly partitionRows: readonly number[] | undefined;
  /** Bytes of the table with TOAST, without indexes. */
  readonly tableBytes: number;
  /** Of it the rows themselves, without TOAST. */
  readonly heapBytes: number;
  readonly indexBytes: number;
  /** Declared dimensions of the column in use, else those of a stored vector; undefined for an empty column without. */
  readonly oldDimensions: number | undefined;
  readonly annIndexes: readonly AnnIndex[];
  /** Of the old indexes, where they agree on one. */
  readonly oldDistance: Distance | undefined;
}

const COUNTED_BELOW_BYTES = 64 * 1024 * 1024;

/**
 * Reads the facts of a migration; changes nothing.
 *
 * @throws PreflightError `extension_missing`, `table_missing`
 */
export async function readFacts(ctx: MigrationContext): Promise<TableFacts> {
  const extension = await readVectorExtension(ctx.db);
  const table = await readTable(ctx.db, ctx.definition.table);
  return factsOfTable(ctx, table, extension, await readServer(ctx.db));
}

/** The same for a table that was read already. */
export async function factsOfTable(
  ctx: MigrationContext,
  table: TableInfo,
  extension: VectorExtension,
  server: ServerFacts,
): Promise<TableFacts> {
  const { column } = ctx.definition;
  const sizes = await readSizes(ctx.db, table);
  const hidden = await rowsAreHidden(ctx.db, table.oid);
  const counted = !hidden && hasRows(table) && sizes.tableBytes < COUNTED_BELOW_BYTES;
  const annIndexes = annIndexesOn(table, column);
  const distances = new Set(annIndexes.map((index) => index.distance));
  const [distance] = distances;
  const info = table.columns.find((candidate) => candidate.name === column);
  return {
    table,
    extension,
    server,
    ...sizes,
    rowsEstimate: counted ? await countRows(ctx.db, table) : await estimateRows(ctx.db, table, hidden),
    rowsCounted: counted,
    partitionRows: table.kind === 'p' ? await readPartitionRows(ctx.db, table, counted) : undefined,
    oldDimensions: hidden ? (info?.dimensions ?? undefined) : await trueDimensions(ctx.db, table, extension, info),
    annIndexes,
    oldDistance: distances.size === 1 ? distance : undefined,
  };
}

export async function readServer(db: Queryable): Promise<ServerFacts> {
  const { rows } = await db.query<ServerFacts>(
    `SELECT pg_catalog.current_setting('server_version_num')::int AS "versionNumber",
       pg_catalog.current_setting('server_version') AS version, current_user::text AS role,
       pg_catalog.pg_is_in_recovery() AS standby,
       pg_catalog.current_setting('transaction_read_only')::bool AS "readOnly",
       (SELECT pg_catalog.json_agg(amname) FROM pg_catalog.pg_am) AS "accessMethods"`,
  );
  const row = rows[0];
  if (row === undefined) throw new Error('the server did not describe itself');
  return row;
}

/** Approximate indexes that read `column`, in expressions and predicates too. */
export function annIndexesOn(table: TableInfo, column: string): AnnIndex[] {
  return table.indexes.flatMap((index) => {
    if ((index.method !== 'ivfflat' && index.method !== 'hnsw') || !index.columns.includes(column)) return [];
    return [
      {
        name: index.name,
        schema: index.schema,
        method: index.method,
        valid: index.valid,
        distance: distanceOf(index),
        lists: listsOf(index),
        quantization: quantizationOf(parseIndexDefinition(index.definition), column),
        definition: index.definition,
      },
    ];
  });
}

function distanceOf(index: IndexInfo): Distance | undefined {
  const name = index.operatorClasses[0] ?? '';
  const match = /^(?:vector|halfvec)_(cosine|l2|ip)_ops$/.exec(name);
  return match?.[1] as Distance | undefined;
}

function listsOf(index: IndexInfo): number | undefined {
  const option = index.options.find((candidate) => candidate.startsWith('lists='));
  if (option !== undefined) return Number(option.slice('lists='.length));
  // pgvector's default, which reloptions leave out.
  return index.method === 'ivfflat' ? 100 : undefined;
}

/** True when row security would hide rows from this role. */
export async function rowsAreHidden(db: Queryable, oid: number): Promise<boolean> {
  const { rows } = await db.query<{ active: boolean }>('SELECT pg_catalog.row_security_active($1::oid) AS active', [
    oid,
  ]);
  return rows[0]?.active === true;
}

async function readSizes(
  db: Queryable,
  table: TableInfo,
): Promise<Pick<TableFacts, 'tableBytes' | 'heapBytes' | 'indexBytes'>> {
  const { rows } = await db.query<Pick<TableFacts, 'tableBytes' | 'heapBytes' | 'indexBytes'>>(
    `SELECT ${tableSizeSql('pg_table_size', '$1::oid')}::float8 AS "tableBytes", ${tableSizeSql('pg_relation_size', '$1::oid')}::float8 AS "heapBytes",
       ${tableSizeSql('pg_indexes_size', '$1::oid')}::float8 AS "indexBytes"`,
    [table.oid],
  );
  return rows[0] ?? { tableBytes: 0, heapBytes: 0, indexBytes: 0 };
}

/** A table or a partitioned one; preflight refuses the rest. */
function hasRows(table: TableInfo): boolean {
  return table.kind === 'r' || table.kind === 'p';
}

async function countRows(db: Queryable, table: TableInfo): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `SELECT pg_catalog.count(*)::float8 AS n FROM ${quoteQualified(table.schema, table.name)}`,
  );
  return rows[0]?.n ?? 0;
}

/** The planner knows the table's present size, reltuples only that of the last ANALYZE. */
async function estimateRows(db: Queryable, table: TableInfo, hidden: boolean): Promise<number> {
  if (hidden || !hasRows(table)) return Math.max(0, table.estimatedRows);
  const { rows } = await db.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    `EXPLAIN (FORMAT JSON) SELECT 1 FROM ${quoteQualified(table.schema, table.name)}`,
  );
  return rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? Math.max(0, table.estimatedRows);
}

/** Counted like the whole, else as ANALYZE found them. */
async function readPartitionRows(db: Queryable, table: TableInfo, counted: boolean): Promise<number[]> {
  const counts = `(SELECT t.tableoid AS oid, pg_catalog.count(*) AS n FROM ${quoteQualified(table.schema, table.name)} t GROUP BY t.tableoid)`;
  const { rows } = await db.query<{ rows: number }>(
    `SELECT ${counted ? 'COALESCE(k.n, 0)' : 'GREATEST(c.reltuples, 0)'}::float8 AS rows FROM pg_catalog.pg_partition_tree($1::oid) s
     JOIN pg_catalog.pg_class c ON c.oid = s.relid ${counted ? `LEFT JOIN ${counts} k ON k.oid = c.oid` : ''}
     WHERE s.isleaf ORDER BY c.oid`,
    [table.oid],
  );
  return rows.map((row) => row.rows);
}

async function trueDimensions(
  db: Queryable,
  table: TableInfo,
  extension: VectorExtension,
  column: ColumnInfo | undefined,
): Promise<number | undefined> {
  if (column === undefined) return undefined;
  if (column.dimensions !== null) return column.dimensions;
  if (column.typeName !== 'vector' && column.typeName !== 'halfvec') return undefined;
  const name = quoteIdentifier(column.name);
  const { rows } = await db.query<{ n: number }>(
    `SELECT ${quoteQualified(extension.schema, 'vector_dims')}(${name}) AS n
     FROM ${quoteQualified(table.schema, table.name)} WHERE ${name} IS NOT NULL LIMIT 1`,
  );
  return rows[0]?.n;
}
