import {
  type FunctionFacts,
  type GeneratedFacts,
  type PolicyFacts,
  type PublicationFacts,
  type Recreation,
  type RuleOrTriggerFacts,
  recreateFunction,
  recreateGenerated,
  recreatePolicy,
  recreatePublication,
  recreateRuleOrTrigger,
} from '../sql/recreate-dependent.ts';
import { createViewSql, dropViewSql } from '../sql/recreate-view.ts';
import type { Dependent } from './dependents.ts';
import type { Queryable } from './types.ts';
import { readViews } from './view-facts.ts';

/** Runs `work` with nothing but `pg_catalog` on the search path, so that every name in a definition comes qualified. In a transaction. */
export async function withBareSearchPath<T>(tx: Queryable, work: () => Promise<T>): Promise<T> {
  const { rows } = await tx.query<{ path: string }>(
    `SELECT pg_catalog.current_setting('search_path') AS path, pg_catalog.set_config('search_path', 'pg_catalog', true)`,
  );
  const result = await work();
  await tx.query(`SELECT pg_catalog.set_config('search_path', $1, true)`, [rows[0]?.path ?? '']);
  return result;
}

/** The statements with which a dependent goes and comes back as it was. Inside `withBareSearchPath`. */
export async function readRecreation(db: Queryable, dependent: Dependent): Promise<Recreation> {
  const only = async <F>(sql: string): Promise<F | undefined> => (await db.query<F>(sql, [dependent.oid])).rows[0];
  const by = <F>(facts: F | undefined, recreate: (facts: F) => Recreation): Recreation =>
    facts === undefined ? UNKNOWN : recreate(facts);
  switch (dependent.kind) {
    case 'view':
    case 'materialized view': {
      const view = (await readViews(db, [dependent.oid])).get(dependent.oid);
      return by(view?.facts, (facts) => ({ drop: dropViewSql(facts), create: createViewSql(facts) }));
    }
    case 'rule':
      return by(await only<RuleOrTriggerFacts>(RULE), (facts) => recreateRuleOrTrigger('RULE', facts));
    case 'trigger':
      return by(await only<RuleOrTriggerFacts>(TRIGGER), (facts) => recreateRuleOrTrigger('TRIGGER', facts));
    case 'generated column': {
      const { rows } = await db.query<GeneratedFacts>(GENERATED, [dependent.oid, dependent.attnum]);
      return by(rows[0], recreateGenerated);
    }
    case 'policy':
      return by(await only<PolicyFacts>(POLICY), recreatePolicy);
    case 'publication':
      return by(await only<PublicationFacts>(PUBLICATION), recreatePublication);
    case 'function':
      return by(await only<FunctionFacts>(FUNCTION), recreateFunction);
    case 'object':
      return UNKNOWN;
  }
}

const UNKNOWN: Recreation = { drop: undefined, create: [] };

const ON_TABLE = 'JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace';

const RULE = `SELECT n.nspname AS schema, c.relname AS table, r.rulename AS name, r.ev_enabled::text AS enabled,
    pg_catalog.rtrim(pg_catalog.pg_get_ruledef(r.oid), ' ;') AS definition, pg_catalog.obj_description(r.oid, 'pg_rewrite') AS comment
  FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class ${ON_TABLE} WHERE r.oid = $1`;

const TRIGGER = `SELECT n.nspname AS schema, c.relname AS table, t.tgname AS name, t.tgenabled::text AS enabled,
    pg_catalog.pg_get_triggerdef(t.oid) AS definition, pg_catalog.obj_description(t.oid, 'pg_trigger') AS comment
  FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid ${ON_TABLE} WHERE t.oid = $1`;

const GENERATED = `SELECT n.nspname AS schema, c.relname AS table, a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
    (SELECT pg_catalog.format('%I.%I', cn.nspname, co.collname) FROM pg_catalog.pg_collation co JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
      WHERE co.oid = a.attcollation AND a.attcollation <> (SELECT t.typcollation FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid)) AS collation,
    pg_catalog.pg_get_expr(e.adbin, e.adrelid) AS expression, a.attgenerated = 'v' AS virtual, a.attnotnull AS "notNull",
    pg_catalog.col_description(c.oid, a.attnum) AS comment,
    COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('grantee', r.rolname, 'privilege', x.privilege_type, 'grantable', x.is_grantable, 'column', a.attname))
      FROM pg_catalog.aclexplode(a.attacl) x LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee), '[]') AS privileges,
    COALESCE((SELECT pg_catalog.json_agg(o.definition ORDER BY o.definition) FROM (
      SELECT pg_catalog.pg_get_indexdef(d.objid) AS definition FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_index i ON i.indexrelid = d.objid
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
      UNION
      SELECT pg_catalog.format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid))
        FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey) AND k.contype <> 'n') o), '[]') AS others
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid ${ON_TABLE}
  JOIN pg_catalog.pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum WHERE a.attrelid = $1 AND a.attnum = $2`;

const POLICY = `SELECT n.nspname AS schema, c.relname AS table, p.polname AS name, p.polpermissive AS permissive, p.polcmd::text AS command,
    (SELECT pg_catalog.json_agg(r.rolname) FROM pg_catalog.unnest(p.polroles) u(id) LEFT JOIN pg_catalog.pg_roles r ON r.oid = u.id) AS roles,
    pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS using, pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS check,
    pg_catalog.obj_description(p.oid, 'pg_policy') AS comment
  FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid ${ON_TABLE} WHERE p.oid = $1`;

const PUBLICATION = `SELECT n.nspname AS schema, c.relname AS table, p.pubname AS name, NULL AS comment,
    (SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs)) AS columns,
    pg_catalog.pg_get_expr(r.prqual, r.prrelid) AS where
  FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
  JOIN pg_catalog.pg_class c ON c.oid = r.prrelid ${ON_TABLE} WHERE r.oid = $1`;

const FUNCTION = `SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind, pg_catalog.rtrim(pg_catalog.pg_get_functiondef(p.oid), E' \\n;') AS definition,
    pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) AS signature,
    pg_catalog.pg_get_userbyid(p.proowner) AS owner, p.proacl IS NOT NULL AS "hasPrivileges", pg_catalog.obj_description(p.oid, 'pg_proc') AS comment,
    COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('grantee', r.rolname, 'privilege', x.privilege_type, 'grantable', x.is_grantable, 'column', NULL))
      FROM pg_catalog.aclexplode(p.proacl) x LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee), '[]') AS privileges
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = $1 AND p.prokind IN ('f', 'p')`;
