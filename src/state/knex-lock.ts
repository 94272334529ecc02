import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Queryable } from '../db/types.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';

/** The table of a ledger's lock, quoted; knex's own names where none are given. */
export function knexLockSql(tableName = 'knex_migrations', schemaName?: string): string {
  const name = `${tableName}_lock`;
  return schemaName ? quoteQualified(schemaName, name) : quoteIdentifier(name);
}

/** The same table by the one name that tells it from every other, whatever the search path is; undefined where there is none. */
export async function resolveKnexLock(db: Queryable, lock: string): Promise<string | undefined> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = pg_catalog.to_regclass($1)`,
    [lock],
  );
  return rows[0]?.name;
}

export async function isKnexLocked(db: Queryable, lock: string): Promise<boolean> {
  const { rows } = await db.query(`SELECT 1 FROM ${lock} WHERE is_locked <> 0`);
  return rows.length > 0;
}

/**
 * The lock that this process holds under knex, resolved; null where that is not to be known: a caller may have named another ledger
 * to `knex.migrate` than the configuration does, and then this one is not locked.
 */
export async function heldKnexLock(db: Queryable, lock: string | undefined): Promise<string | null> {
  if (lock === undefined) return null;
  try {
    const name = await resolveKnexLock(db, lock);
    return name !== undefined && (await isKnexLocked(db, name)) ? name : null;
  } catch (error) {
    // REEMBED_DIRECT_URL may be another role's than the one that keeps the ledger.
    if (sqlStateOf(error) === SQLSTATE.insufficientPrivilege) return null;
    throw error;
  }
}
