import { PreflightError } from '../errors.ts';
import { tableTreeSql } from '../sql/relation-size.ts';
import type {
  CheckInfo,
  ColumnInfo,
  PartitionIndex,
  TableInfo,
  TriggerInfo,
  VectorExtension,
} from './catalog-types.ts';
import type { Queryable } from './types.ts';

/**
 * Finds the extension `vector`, in whatever schema it lives.
 *
 * @throws PreflightError `extension_missing`
 */
export async function readVectorExtension(db: Queryable): Promise<VectorExtension> {
  const { rows } = await db.query<{
    schema: string;
    version: string;
    vectorOid: number | null;
    halfvecOid: number | null;
  }>(
    `SELECT n.nspname AS schema, e.extversion AS version,
       (SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid AND t.typname = 'vector') AS "vectorOid",
       (SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid AND t.typname = 'halfvec') AS "halfvecOid"
     FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'`,
  );
  const row = rows[0];
  if (row === undefined || row.vectorOid === null) {
    throw new PreflightError(
      'extension_missing',
      'The extension "vector" (pgvector) is not installed in this database.',
      {
        step: 'expand',
        hint: 'Run "CREATE EXTENSION vector;" as a superuser, after installing pgvector on the server.',
      },
    );
  }
  return { schema: row.schema, version: row.version, vectorOid: row.vectorOid, hasHalfvec: row.halfvecOid !== null };
}

/** The OID of a table by name, as the session's search path resolves it when no schema is given; undefined when there is none. */
export async function findTable(
  db: Queryable,
  name: { schema: string | undefined; name: string },
): Promise<number | undefined> {
  const { rows } = await db.query<{ oid: number | null }>(
    `SELECT pg_catalog.to_regclass(CASE WHEN $1::text IS NULL THEN pg_catalog.quote_ident($2::text)
       ELSE pg_catalog.quote_ident($1::text) || '.' || pg_catalog.quote_ident($2::text) END)::oid AS oid`,
    [name.schema ?? null, name.name],
  );
  return rows[0]?.oid ?? undefined;
}

/**
 * Reads all that a migration has to know about a table, in one round of catalog queries.
 *
 * @throws PreflightError `table_missing`, with the names that come close
 */
export async function readTable(db: Queryable, name: { schema: string | undefined; name: string }): Promise<TableInfo> {
  const oid = await findTable(db, name);
  if (oid === undefined) throw await tableMissing(db, name);
  return readTableByOid(db, oid);
}

/** The same by OID. @throws PreflightError `table_missing` when it was dropped. */
export async function readTableByOid(db: Queryable, oid: number): Promise<TableInfo> {
  const { rows } = await db.query<Omit<TableInfo, 'columns' | 'indexes' | 'checks' | 'updateTriggers'>>(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       CASE WHEN c.relkind = 'p' THEN COALESCE((SELECT CASE WHEN pg_catalog.max(l.reltuples) >= 0 THEN
           pg_catalog.sum(GREATEST(l.reltuples, 0)) ELSE -1 END FROM pg_catalog.pg_partition_tree(c.oid) s
         JOIN pg_catalog.pg_class l ON l.oid = s.relid WHERE s.isleaf), -1) ELSE c.reltuples END AS "estimatedRows",
       pg_catalog.json_build_object('enabled', c.relrowsecurity, 'forced', c.relforcerowsecurity) AS "rowSecurity",
       COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname,
           'type', pg_catalog.format_type(a.atttypid, a.atttypmod)) ORDER BY k.position)
         FROM pg_catalog.pg_index i, pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k(attnum, position), pg_catalog.pg_attribute a
         WHERE i.indrelid = c.oid AND i.indisprimary AND k.position <= i.indnkeyatts
           AND a.attrelid = c.oid AND a.attnum = k.attnum), '[]') AS key
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1`,
    [oid],
  );
  const table = rows[0];
  if (table === undefined) {
    throw new PreflightError('table_missing', `The table with OID ${oid} is gone.`, { hint: 'Run "reembed status".' });
  }
  return {
    ...table,
    columns: await readColumns(db, oid),
    indexes: await readIndexes(db, [oid]),
    checks: await readChecks(db, oid),
    updateTriggers: await readUpdateTriggers(db, oid),
  };
}

async function readColumns(db: Queryable, oid: number): Promise<ColumnInfo[]> {
  const { rows } = await db.query<ColumnInfo>(
    `SELECT a.attname AS name, a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, t.typname AS "typeName",
       CASE WHEN t.typname IN ('vector', 'halfvec', 'sparsevec') AND a.atttypmod > 0 THEN a.atttypmod END AS dimensions,
       a.attnotnull AS "notNull", pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS "defaultSql",
       (a.attgenerated <> '') AS generated, pg_catalog.col_description(a.attrelid, a.attnum) AS comment,
       a.attstattarget AS "statisticsTarget"
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [oid],
  );
  return rows;
}

/** The indexes of tables, or of a table and its partitions. */
export async function readIndexes(db: Queryable, oids: readonly number[]): Promise<PartitionIndex[]> {
  // pg_depend also knows the columns inside expressions and predicates, which indkey shows as 0.
  const { rows } = await db.query<PartitionIndex>(
    `SELECT c.oid, i.indrelid AS "tableOid", (SELECT h.inhparent FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid) AS "parentOid",
       n.nspname AS schema, c.relname AS name, am.amname AS method, i.indisvalid AS valid,
       pg_catalog.pg_get_indexdef(c.oid) AS definition, COALESCE(pg_catalog.to_json(c.reloptions), '[]') AS options,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS predicate, (i.indexprs IS NOT NULL) AS "isExpression",
       EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid) AS "backsConstraint",
       (SELECT COALESCE(pg_catalog.json_agg(DISTINCT a.attname), '[]') FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND (a.attnum = ANY (i.indkey) OR EXISTS (
           SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
             AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))) AS columns,
       (SELECT COALESCE(pg_catalog.json_agg(o.opcname ORDER BY u.position), '[]')
         FROM pg_catalog.unnest(i.indclass) WITH ORDINALITY AS u(opclass, position)
         JOIN pg_catalog.pg_opclass o ON o.oid = u.opclass) AS "operatorClasses"
     FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_am am ON am.oid = c.relam
     WHERE i.indrelid = ANY ($1::oid[]) ORDER BY c.relname, n.nspname`,
    [oids],
  );
  return rows;
}

async function readChecks(db: Queryable, oid: number): Promise<CheckInfo[]> {
  const { rows } = await db.query<CheckInfo>(
    `SELECT c.conname AS name, pg_catalog.pg_get_constraintdef(c.oid) AS definition, c.convalidated AS validated,
       pg_catalog.pg_get_expr(c.conbin, c.conrelid) AS expression,
       (SELECT COALESCE(pg_catalog.json_agg(a.attname), '[]') FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)) AS columns
     FROM pg_catalog.pg_constraint c WHERE c.conrelid = $1 AND c.contype = 'c' ORDER BY c.conname`,
    [oid],
  );
  return rows;
}

async function readUpdateTriggers(db: Queryable, oid: number): Promise<TriggerInfo[]> {
  // tgtype bit 4 (16) is UPDATE, bit 0 is FOR EACH ROW; see pg_trigger.h.
  const { rows } = await db.query<TriggerInfo>(
    `SELECT t.tgname AS name, p.proname AS "functionName", (t.tgenabled <> 'D') AS enabled,
       pg_catalog.pg_get_triggerdef(t.oid) AS definition
     FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
     WHERE t.tgrelid IN ${tableTreeSql('$1::oid')} AND NOT t.tgisinternal AND t.tgparentid = 0 AND (t.tgtype & 16) <> 0 AND t.tgname NOT LIKE 'zzz\\_reembed\\_%'
     ORDER BY t.tgname`,
    [oid],
  );
  return rows;
}

async function tableMissing(
  db: Queryable,
  name: { schema: string | undefined; name: string },
): Promise<PreflightError> {
  const { rows } = await db.query<{ found: string }>(
    `SELECT n.nspname || '.' || c.relname AS found FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
       AND EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND t.typname IN ('vector', 'halfvec'))
     ORDER BY 1 LIMIT 8`,
  );
  const wanted = name.schema === undefined ? name.name : `${name.schema}.${name.name}`;
  const candidates = rows.map((row) => row.found).join(', ');
  return new PreflightError(
    'table_missing',
    `Table "${wanted}" does not exist${candidates === '' ? '' : `; tables with a vector column: ${candidates}`}.`,
    {
      hint: 'Correct "table" in reembed.config.ts (or REEMBED_TABLE).',
      context: { table: wanted, candidates: rows.map((r) => r.found) },
    },
  );
}
