import type { Queryable } from '../db/types.ts';

/** 64 bits out of the state's schema ($1) and the migration's id ($2). */
const KEY = "pg_catalog.hashtextextended('reembed owner ' || $1::text || '.' || $2::text, 0)";

/**
 * Marks a session as that of the migration's owner, by an advisory lock that ends with it. By try only: waiting for one would deadlock with
 * CREATE INDEX CONCURRENTLY. The lease decides who owns; the mark tells an owner that ended from one that is stopped or stuck.
 *
 * @returns false while the session of an earlier owner is still connected
 */
export async function markOwnerSession(session: Queryable, stateSchema: string, migrationId: string): Promise<boolean> {
  const { rows } = await session.query<{ marked: boolean }>(
    `SELECT pg_catalog.pg_try_advisory_lock(${KEY}) AS marked`,
    [stateSchema, migrationId],
  );
  return rows[0]?.marked === true;
}

/** The server's pid of the session that is marked; undefined when none is. See pg_locks on how a key of 64 bits is shown. */
export async function readOwnerSession(
  db: Queryable,
  stateSchema: string,
  migrationId: string,
): Promise<number | undefined> {
  const { rows } = await db.query<{ pid: number }>(
    `SELECT l.pid FROM pg_catalog.pg_locks l, (SELECT ${KEY} AS key) k
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
       AND ((l.classid::bigint << 32) | l.objid::bigint) = k.key`,
    [stateSchema, migrationId],
  );
  return rows[0]?.pid;
}
