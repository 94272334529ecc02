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
  | 'function'
  | 'object';

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
  /** Its OID in the catalog of its kind; that of the relation for a view, of the table for a generated column. */
  readonly oid: number;
  /** The generated column's number; 0 for all else. */
  readonly attnum: number;
  /** 1 reads the column itself, more reads a view over it: what is deeper must go first and come back last. */
  readonly depth: number;
}

/**
 * What else in the database reads a column: by pg_depend what is bound to it, views over its views and what stands on them included; by
 * their source the functions that mention it. The column's own default, its indexes and CHECKs, and reembed's triggers are left out: the
 * exchange takes care of them.
 */
export async function readDependents(
  db: Queryable,
  table: Pick<TableInfo, 'oid' | 'name'>,
  column: string,
): Promise<readonly Dependent[]> {
  return [...(await readBound(db, table.oid, column)), ...(await readMentioning(db, table, column))];
}

/** What is bound to the column, in the order in which it could be made. */
export async function readBound(db: Queryable, tableOid: number, column: string): Promise<Dependent[]> {
  const { rows } = await db.query<Dependent>(
    `WITH RECURSIVE d(classid, objid, objsubid, attnum, depth) AS (
       SELECT d.classid, d.objid, d.objsubid, a.attnum, 1 FROM pg_catalog.pg_depend d
       JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
       WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid IN ${tableTreeSql('$1::oid')} AND a.attname = $2
       UNION -- whatever needs a view, or its row type, goes with it; views may read each other in a circle
       SELECT n.classid, n.objid, n.objsubid, 0::int2, v.depth + 1 FROM d v
       JOIN pg_catalog.pg_rewrite r ON v.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = v.objid AND r.rulename = '_RETURN'
       JOIN pg_catalog.pg_type t ON t.typrelid = r.ev_class
       JOIN pg_catalog.pg_depend n ON n.deptype = 'n' AND ((n.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND n.refobjid = r.ev_class)
         OR (n.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND n.refobjid IN (t.oid, t.typarray)))
       WHERE v.depth < 50
         AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite o WHERE n.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND o.oid = n.objid AND o.ev_class = r.ev_class)
         AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger o WHERE n.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND o.oid = n.objid AND o.tgrelid = r.ev_class)
         AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attrdef o WHERE n.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND o.oid = n.objid AND o.adrelid = r.ev_class)
     ), found AS (${FOUND_SQL}
     ) SELECT kind, name, oid, attnum::int4 AS attnum, pg_catalog.max(depth) AS depth, true AS bound FROM found
     GROUP BY kind, name, oid, attnum ORDER BY 5, 1, 2`,
    [tableOid, column],
  );
  return rows;
}

/** Dependencies `d` by what they are; what has no form of its own is an `object` where it stands on a view. */
const FOUND_SQL = `
       SELECT CASE WHEN r.rulename <> '_RETURN' THEN 'rule' WHEN c.relkind = 'm' THEN 'materialized view' ELSE 'view' END AS kind,
         CASE WHEN r.rulename <> '_RETURN' THEN r.rulename || ' on ' ELSE '' END || n.nspname || '.' || c.relname AS name,
         CASE WHEN r.rulename <> '_RETURN' THEN r.oid ELSE c.oid END AS oid, 0 AS attnum, d.depth
       FROM d JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid
       JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       UNION
       SELECT 'generated column', a.attname::text, a.attrelid, a.attnum, d.depth FROM d
       JOIN pg_catalog.pg_attrdef e ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND e.oid = d.objid AND e.adnum <> d.attnum
       JOIN pg_catalog.pg_attribute a ON a.attrelid = e.adrelid AND a.attnum = e.adnum WHERE d.depth = 1
       UNION -- before Postgres 15 the generated column itself depends, not its expression
       SELECT 'generated column', a.attname::text, a.attrelid, a.attnum, d.depth FROM d
       JOIN pg_catalog.pg_attribute a ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
         AND a.attrelid = d.objid AND a.attrelid IN ${tableTreeSql('$1::oid')} AND a.attnum = d.objsubid AND a.attgenerated <> '' WHERE d.depth = 1
       UNION
       SELECT 'policy', p.polname::text, p.oid, 0, d.depth FROM d
       JOIN pg_catalog.pg_policy p ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = d.objid
       UNION
       SELECT 'trigger', t.tgname::text, t.oid, 0, d.depth FROM d
       JOIN pg_catalog.pg_trigger t ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = d.objid
       WHERE NOT t.tgisinternal AND t.tgname NOT LIKE 'zzz\\_reembed\\_%'
       UNION
       SELECT 'publication', p.pubname::text, r.oid, 0, d.depth FROM d
       JOIN pg_catalog.pg_publication_rel r ON d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND r.oid = d.objid
       JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
       UNION
       SELECT 'function', n.nspname || '.' || p.proname, p.oid, 0, d.depth FROM d
       JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
       JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
       UNION
       SELECT 'object', pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), d.objid, 0, d.depth FROM d
       WHERE d.depth > 1 AND d.classid NOT IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass,
         'pg_catalog.pg_trigger'::pg_catalog.regclass, 'pg_catalog.pg_publication_rel'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass)`;

async function readMentioning(
  db: Queryable,
  table: Pick<TableInfo, 'oid' | 'name'>,
  column: string,
): Promise<Dependent[]> {
  const { rows } = await db.query<Dependent>(
    `SELECT 'function' AS kind, n.nspname || '.' || p.proname AS name, false AS bound, p.oid, 0 AS attnum, 1 AS depth
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
