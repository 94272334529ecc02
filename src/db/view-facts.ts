import type { ViewFacts } from '../sql/recreate-view.ts';
import type { Queryable } from './types.ts';

/** A view with what of it a DROP and CREATE could not keep, or this role could not do, as ends of a sentence about it. */
export interface ReadView {
  readonly facts: ViewFacts;
  readonly obstacles: readonly string[];
}

interface ViewRow extends ViewFacts {
  readonly obstacles: readonly string[];
}

/**
 * All that views are. Run it with `search_path = pg_catalog`: only then every name in the definitions is qualified.
 */
export async function readViews(db: Queryable, oids: readonly number[]): Promise<ReadonlyMap<number, ReadView>> {
  const found = new Map<number, ReadView>();
  for (const oid of oids) {
    const { rows } = await db.query<ViewRow>(VIEW_SQL, [oid]);
    for (const { obstacles, ...facts } of rows) found.set(oid, { facts, obstacles });
  }
  return found;
}

const VIEW_SQL = `WITH acls AS (
    SELECT r.rolname AS grantee, x.privilege_type, x.is_grantable, x.grantor, NULL::name AS attname
    FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) x LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
    WHERE c.oid = $1 AND (x.grantee = 0 OR r.oid IS NOT NULL)
    UNION ALL
    SELECT r.rolname, x.privilege_type, x.is_grantable, x.grantor, a.attname
    FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) x LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND (x.grantee = 0 OR r.oid IS NOT NULL))
  SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'm' AS materialized, c.relispopulated AS populated,
    pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), E' \\n;') AS query, COALESCE(pg_catalog.to_json(c.reloptions), '[]') AS options,
    pg_catalog.pg_get_userbyid(c.relowner) AS owner, c.relacl IS NOT NULL AS "hasPrivileges",
    (SELECT s.spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = c.reltablespace) AS tablespace,
    (SELECT m.amname FROM pg_catalog.pg_am m WHERE m.oid = c.relam AND m.amname <> 'heap') AS "accessMethod",
    COALESCE((SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]') AS columns,
    COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('grantee', x.grantee, 'privilege', x.privilege_type,
        'grantable', x.is_grantable, 'column', x.attname) ORDER BY x.attname NULLS FIRST, x.grantee NULLS FIRST, x.privilege_type) FROM acls x), '[]') AS privileges,
    COALESCE((SELECT pg_catalog.json_agg(DISTINCT r.rolname) FROM pg_catalog.pg_default_acl f, pg_catalog.aclexplode(f.defaclacl) x
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee WHERE f.defaclobjtype = 'r' AND f.defaclnamespace IN (0, c.relnamespace)
        AND f.defaclrole = (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user)), '[]') AS "defaultGrantees",
    COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('column', a.attname, 'expression', pg_catalog.pg_get_expr(e.adbin, e.adrelid)) ORDER BY a.attnum)
      FROM pg_catalog.pg_attrdef e JOIN pg_catalog.pg_attribute a ON a.attrelid = e.adrelid AND a.attnum = e.adnum WHERE e.adrelid = c.oid), '[]') AS defaults,
    COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('column', a.attname, 'text', s.description) ORDER BY s.objsubid)
      FROM pg_catalog.pg_description s LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = s.objsubid AND s.objsubid > 0
      WHERE s.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.objoid = c.oid), '[]') AS comments,
    COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', r.rulename, 'definition', pg_catalog.rtrim(pg_catalog.pg_get_ruledef(r.oid), ' ;'),
        'comment', pg_catalog.obj_description(r.oid, 'pg_rewrite')) ORDER BY r.rulename)
      FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'), '[]') AS rules,
    COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', t.tgname, 'definition', pg_catalog.pg_get_triggerdef(t.oid),
        'comment', pg_catalog.obj_description(t.oid, 'pg_trigger')) ORDER BY t.tgname)
      FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal), '[]') AS triggers,
    COALESCE((SELECT pg_catalog.json_agg(d.definition ORDER BY d.definition) FROM (
        SELECT pg_catalog.pg_get_indexdef(i.indexrelid) AS definition FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid
        UNION ALL SELECT pg_catalog.pg_get_statisticsobjdef(s.oid) FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid = c.oid) d), '[]') AS indexes,
    pg_catalog.to_json(pg_catalog.array_remove(ARRAY[
      CASE WHEN c.relpersistence = 't' THEN 'is temporary and belongs to one session' END,
      CASE WHEN NOT pg_catalog.pg_has_role(c.relowner, 'USAGE') THEN 'is owned by "' || pg_catalog.pg_get_userbyid(c.relowner) || '", of which this role is no member' END,
      CASE WHEN NOT pg_catalog.has_schema_privilege(n.oid, 'CREATE') THEN 'lies in the schema "' || n.nspname || '", where this role may create nothing' END,
      CASE WHEN NOT (SELECT u.rolsuper FROM pg_catalog.pg_roles u WHERE u.rolname = current_user)
        AND NOT pg_catalog.has_schema_privilege(c.relowner, n.oid, 'CREATE') THEN 'is owned by "' || pg_catalog.pg_get_userbyid(c.relowner) || '", who may create nothing in "' || n.nspname || '"' END,
      CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid AND e.deptype = 'e')
        THEN 'belongs to an extension' END,
      CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_seclabel l WHERE l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objoid = c.oid)
        THEN 'has a security label' END,
      CASE WHEN EXISTS (SELECT 1 FROM acls x WHERE x.grantor <> c.relowner) THEN 'has privileges that others than its owner granted' END
    ], NULL)) AS obstacles
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1`;
