import { setTimeout as sleep } from 'node:timers/promises';
import { connectDatabase } from '../db/connect.ts';
import type { ConnectionSettings, Database, Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

export interface StaleLockOptions {
  readonly connection: Omit<ConnectionSettings, 'embedded'>;
  /** knex's ledger; its lock is `<tableName>_lock`. */
  readonly tableName?: string;
  readonly stateSchema?: string;
  readonly onNotice?: (message: string) => void;
}

export type StaleLockResult = 'not-locked' | 'released' | 'held' | 'unknown-holder';

interface Holder {
  readonly migration_id: string;
  readonly holder: string;
  readonly step: string;
  readonly expires: string;
  readonly expired: boolean;
}

/**
 * Frees the lock that a killed `knex migrate` left behind, and only that: the state must name a reembed step as its holder, and
 * that holder's lease must have ended. A living one is seen to renew its lease and keeps the lock; a lock that no reembed step took is
 * never touched. To be called from the knexfile, because knex looks at its lock before any migration's code runs.
 *
 * @throws DatabaseError when the database cannot be reached
 */
export async function releaseStaleLock(options: StaleLockOptions): Promise<StaleLockResult> {
  const db = await connectDatabase(options.connection);
  try {
    return await releaseIfStale(db, options);
  } finally {
    await db.close();
  }
}

async function releaseIfStale(db: Database, options: StaleLockOptions): Promise<StaleLockResult> {
  const lockTable = quoteIdentifier(`${options.tableName ?? 'knex_migrations'}_lock`);
  const leases = `${quoteIdentifier(options.stateSchema ?? 'reembed')}.leases`;
  if (!(await exists(db, leases))) return (await isLocked(db, lockTable)) ? 'unknown-holder' : 'not-locked';
  if (!(await isLocked(db, lockTable))) {
    // Runs that ended well leave their name; forgotten here, it can never be taken for the holder of a later lock.
    await forget(db, leases);
    return 'not-locked';
  }
  const first = await readHolders(db, leases);
  if (first.length === 0) return 'unknown-holder';
  // The lock file of its data directory has shut out every other process of an embedded database.
  const verdict = db.embedded ? 'dead' : await watch(db, leases, first);
  if (verdict !== 'dead') {
    options.onNotice?.(`The migration lock is held by a running process: ${verdict.step} by ${verdict.holder}.`);
    return 'held';
  }
  await db.query(`UPDATE ${lockTable} SET is_locked = 0`);
  await forget(db, leases, db.embedded);
  options.onNotice?.(`Released the migration lock that ${first[0]?.holder ?? 'a killed process'} left behind.`);
  return 'released';
}

/** Waits until every lease has ended, or one is seen to be renewed. */
async function watch(db: Queryable, leases: string, first: readonly Holder[]): Promise<'dead' | Holder> {
  const seen = new Map(first.map((row) => [row.migration_id, row.expires]));
  for (;;) {
    const now = await readHolders(db, leases);
    const renewed = now.find((row) => !row.expired && seen.get(row.migration_id) !== row.expires);
    if (renewed !== undefined) return renewed;
    if (now.every((row) => row.expired)) return 'dead';
    await sleep(200);
  }
}

async function readHolders(db: Queryable, leases: string): Promise<Holder[]> {
  const { rows } = await db.query<Holder>(
    `SELECT migration_id, holder, step, expires, COALESCE(expires < pg_catalog.clock_timestamp(), true) AS expired
     FROM ${leases} WHERE holder IS NOT NULL`,
  );
  return rows;
}

async function forget(db: Queryable, leases: string, all = false): Promise<void> {
  const ended = all ? '' : ' AND expires < pg_catalog.clock_timestamp()';
  await db.query(`UPDATE ${leases} SET holder = NULL, step = NULL, expires = NULL WHERE holder IS NOT NULL${ended}`);
}

async function isLocked(db: Queryable, lockTable: string): Promise<boolean> {
  if (!(await exists(db, lockTable))) return false;
  const { rows } = await db.query(`SELECT 1 FROM ${lockTable} WHERE is_locked <> 0`);
  return rows.length > 0;
}

async function exists(db: Queryable, table: string): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>('SELECT pg_catalog.to_regclass($1) IS NOT NULL AS found', [
    table,
  ]);
  return rows[0]?.found === true;
}
