import { tableTreeSql } from '../sql/relation-size.ts';
import type { TableInfo } from './catalog-types.ts';
import type { Queryable } from './types.ts';

export type DependentKind =
  | 'view'
  | 'materialized view'
  | 'rule'
  | 'generated column'
  | 'policy'
  | 'trigger'
  | 'publication'
  | 'function';

/** Something outside the column that reads it. */
export interface Dependent {
  readonly kind: DependentKind;
  /** Qualified where the kind has a schema, as a person would write it. */
  readonly name: string;
  /**
   * True when Postgres ties it to the column itself: after an exchange of names it would silently go on reading the old
   * vectors. False when it only mentions the name in its source: it will read the new ones, which may not suit it.
   */
  readonly bound: boolean;
}

/**
 * What else in the database reads a column: by pg_depend what is bound to it, by their source the functions that mention it.
 * The column's own default, its indexes and CHECKs, and reembed's triggers are left out: the exchange takes care of them.
 */
export async function readDependents(
  db: Queryable,
  table: Pick<TableInfo, 'oid' | 'name'>,
  column: string,
): Promise<readonly Dependent[]> {
  return [...(await readBound(db, table.oid, column)), ...(await readMentioning(db, table, column))];
}

async function readBound(db: Queryable, tableOid: number, column: string): Promise<Dependent[]> {
  const { rows } = await db.query<Dependent>(
    `WITH d AS (
       SELECT DISTINCT d.classid, d.objid, d.objsubid, d.refobjid, a.attnum FROM pg_catalog.pg_depend d
       JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
       WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid IN ${tableTreeSql('$1::oid')} AND a.attname = $2
     ), found AS (
       SELECT CASE WHEN r.rulename <> '_RETURN' THEN 'rule' WHEN c.relkind = 'm' THEN 'materialized view' ELSE 'view' END AS kind,
         CASE WHEN r.rulename <> '_RETURN' THEN r.rulename || ' on ' ELSE '' END || n.nspname || '.' || c.relname AS name
       FROM d JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid
       JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       UNION
       SELECT 'generated column', a.attname::text FROM d
       JOIN pg_catalog.pg_attrdef e ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND e.oid = d.objid AND e.adnum <> d.attnum
       JOIN pg_catalog.pg_attribute a ON a.attrelid = e.adrelid AND a.attnum = e.adnum
       UNION -- before Postgres 15 the generated column itself depends, not its expression
       SELECT 'generated column', a.attname::text FROM d
       JOIN pg_catalog.pg_attribute a ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
         AND a.attrelid = d.objid AND a.attrelid = d.refobjid AND a.attnum = d.objsubid AND a.attgenerated <> ''
       UNION
       SELECT 'policy', p.polname::text FROM d
       JOIN pg_catalog.pg_policy p ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = d.objid
       UNION
       SELECT 'trigger', t.tgname::text FROM d
       JOIN pg_catalog.pg_trigger t ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = d.objid
       WHERE NOT t.tgisinternal AND t.tgname NOT LIKE 'zzz\\_reembed\\_%'
       UNION
       SELECT 'publication', p.pubname::text FROM d
       JOIN pg_catalog.pg_publication_rel r ON d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND r.oid = d.objid
       JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
       UNION
       SELECT 'function', n.nspname || '.' || p.proname FROM d
       JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
       JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     ) SELECT kind, name, true AS bound FROM found ORDER BY kind, name`,
    [tableOid, column],
  );
  return rows;
}

async function readMentioning(
  db: Queryable,
  table: Pick<TableInfo, 'oid' | 'name'>,
  column: string,
): Promise<Dependent[]> {
  const { rows } = await db.query<Dependent>(
    `SELECT 'function' AS kind, n.nspname || '.' || p.proname AS name, false AS bound
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prosrc ~ $2
       AND (p.prosrc ~ $3 OR EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = $1 AND t.tgfoid = p.oid))
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgfoid = p.oid AND t.tgname LIKE 'zzz\\_reembed\\_%')
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
         AND d.objid = p.oid AND d.deptype = 'e')
     ORDER BY 2`,
    [table.oid, wholeWord(column), wholeWord(table.name)],
  );
  return rows;
}

/** `embedding` must not be found in `embedding_384`. */
function wholeWord(name: string): string {
  return `(^|[^[:alnum:]_])${name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}([^[:alnum:]_]|$)`;
}
