import type { PGlite } from '@electric-sql/pglite';

/** All that a database remembers outside of its tables: rows of each system catalog, and settings that are no defaults. */
export interface Look {
  /** A transaction of the look itself: what came later was written after it. */
  readonly xid: string;
  readonly catalogs: string;
  readonly settings: string;
}

/**
 * Everything that a user of it can have made. Extensions and their members stay: who has dropped, moved or added one
 * leaves a database that is not empty.
 */
const DROP_ALL = `DO $$
DECLARE command text;
BEGIN
  SET LOCAL client_min_messages = warning;
  FOR command IN
    SELECT format('DROP PUBLICATION %I', pubname) FROM pg_catalog.pg_publication
    UNION ALL
    SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_catalog.pg_namespace
    WHERE nspname NOT IN ('public', 'information_schema') AND NOT starts_with(nspname, 'pg_')
  LOOP EXECUTE command; END LOOP;
  FOR command IN
    SELECT format('DROP %s IF EXISTS public.%I CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
      WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, relname)
    FROM pg_catalog.pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    ORDER BY relkind <> 'p', relkind <> 'r'
  LOOP EXECUTE command; END LOOP;
  FOR command IN
    SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure) FROM pg_catalog.pg_proc p
    WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT format('DROP TYPE IF EXISTS %s CASCADE', t.oid::regtype) FROM pg_catalog.pg_type t
    WHERE typnamespace = 'public'::regnamespace AND typtype IN ('c', 'd', 'e', 'r') AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
  LOOP EXECUTE command; END LOOP;
  FOR command IN
    SELECT unnest(ARRAY[format('DROP OWNED BY %I CASCADE', rolname), format('DROP ROLE %I', rolname)])
    FROM pg_catalog.pg_roles WHERE oid >= 16384
  LOOP EXECUTE command; END LOOP;
END $$`;

/** The session's own schema for temporary tables is made once, and empty after DISCARD ALL. */
const NOT_COUNTED = `nspname LIKE 'pg\\_temp\\_%' OR nspname LIKE 'pg\\_toast\\_temp\\_%'`;

async function catalogs(db: PGlite, xid: string): Promise<string> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT relname AS name FROM pg_catalog.pg_class
     WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' ORDER BY relname`,
  );
  const counts = rows.map(
    ({ name }) =>
      `SELECT '${name}', pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE xmin::text::bigint >= ${xid})
       FROM pg_catalog.${name}${name === 'pg_namespace' ? ` WHERE NOT (${NOT_COUNTED})` : ''}`,
  );
  return JSON.stringify((await db.query(counts.join(' UNION ALL '), [], { rowMode: 'array' })).rows);
}

async function settings(db: PGlite): Promise<string> {
  const { rows } = await db.query(
    `SELECT name, setting, source FROM pg_catalog.pg_settings WHERE source <> 'default' ORDER BY name`,
  );
  const files = await db.query('SELECT name, setting FROM pg_catalog.pg_file_settings ORDER BY seqno');
  const { rows: slots } = await db.query('SELECT slot_name FROM pg_catalog.pg_replication_slots');
  return JSON.stringify([rows, files.rows, slots]);
}

async function lookFrom(db: PGlite, xid: string): Promise<Look> {
  return { xid, catalogs: await catalogs(db, xid), settings: await settings(db) };
}

/** What a database of which nothing has been used yet looks like. */
export async function lookAt(db: PGlite): Promise<Look> {
  const { rows } = await db.query<{ xid: string }>('SELECT pg_catalog.pg_current_xact_id()::text AS xid');
  return lookFrom(db, rows[0]?.xid ?? '0');
}

/**
 * Empties a database that one session has used for itself: what it holds, and what the session remembers.
 * @returns whether every system catalog now holds the rows of `fresh`, none of them written since, and every setting is as it was.
 */
export async function emptyDatabase(db: PGlite, fresh: Look): Promise<boolean> {
  try {
    if (db.isInTransaction()) await db.exec('ROLLBACK');
    await db.exec('DISCARD ALL');
    await db.exec(DROP_ALL);
    const now = await lookFrom(db, fresh.xid);
    return now.catalogs === fresh.catalogs && now.settings === fresh.settings;
  } catch {
    return false;
  }
}
