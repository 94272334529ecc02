import { setTimeout as sleep } from 'node:timers/promises';
import { loadRuntimeSettings } from '../config/runtime.ts';
import { connectDatabase } from '../db/connect.ts';
import type { ConnectionSettings, Database, Queryable } from '../db/types.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { isKnexLocked, knexLockSql, resolveKnexLock } from '../state/knex-lock.ts';
import { UNDER_KNEX } from '../state/lease.ts';
import { withSearchPath } from './search-path.ts';

export interface StaleLockOptions {
  readonly connection: Omit<ConnectionSettings, 'embedded'>;
  /** The knexfile's `migrations.tableName`: knex's ledger; its lock is `<tableName>_lock`. */
  readonly tableName?: string | undefined;
  /** The knexfile's `migrations.schemaName`. */
  readonly schemaName?: string | undefined;
  /** The knexfile's `searchPath`. */
  readonly searchPath?: string | readonly string[] | undefined;
  /** `REEMBED_STATE_SCHEMA` unless given. */
  readonly stateSchema?: string | undefined;
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

interface Tables {
  /** Schema and name, quoted. */
  readonly lock: string;
  readonly leases: string;
}

const ENDED = 'COALESCE(expires < pg_catalog.clock_timestamp(), true)';
/** Of the lock `$1`, or of one that is not known. Asked of the whole row, because the state of an older reembed has no such column. */
const OF_LOCK = `COALESCE(pg_catalog.to_jsonb(l) ->> 'knex_lock', $1) = $1`;

/**
 * Frees the lock that a killed `knex migrate` left behind, and only that: the state must name a reembed step under knex as its
 * holder, and that step's lease must have ended. A living one is seen to renew its lease and keeps the lock; a lock that no such step
 * took is never touched, nor is that of another ledger with the same state. To be called from the knexfile, because knex looks at its lock before any migration's code runs.
 *
 * knex takes its lock some tenths of a second before a step can write its name: killed in between, or in a migration of somebody
 * else, the process leaves an `unknown-holder`, which only `npx knex migrate:unlock` frees.
 *
 * @throws DatabaseError when the database cannot be reached; ConfigError when the environment is wrong and no `stateSchema` is given
 */
export async function releaseStaleLock(options: StaleLockOptions): Promise<StaleLockResult> {
  const stateSchema = options.stateSchema ?? loadRuntimeSettings().stateSchema;
  const db = await connectDatabase(withSearchPath(options.connection, options.searchPath));
  try {
    const lock = await resolveKnexLock(db, knexLockSql(options.tableName, options.schemaName));
    if (lock === undefined) return 'not-locked';
    const tables: Tables = { lock, leases: quoteQualified(stateSchema, 'leases') };
    if (!(await exists(db, tables.leases))) return (await isKnexLocked(db, lock)) ? 'unknown-holder' : 'not-locked';
    return await watch(db, tables, options.onNotice ?? (() => undefined));
  } finally {
    await db.close();
  }
}

/** Looks at the lock and its holders together until they say what is the case: neither may be known from an earlier look. */
async function watch(db: Database, tables: Tables, say: (message: string) => void): Promise<StaleLockResult> {
  let first: readonly Holder[] | undefined;
  for (;;) {
    if (!(await isKnexLocked(db, tables.lock))) {
      await forget(db, tables);
      return 'not-locked';
    }
    const now = await readHolders(db, tables);
    first ??= now;
    const verdict = judge(first, now, db.embedded);
    if (typeof verdict === 'object') {
      say(`The migration lock is held by a running process: ${verdict.step} by ${verdict.holder}.`);
      return 'held';
    }
    if (verdict === 'unknown' && (await isKnexLocked(db, tables.lock))) return 'unknown-holder';
    if (verdict === 'dead' && (await release(db, tables, first))) {
      say(`Released the migration lock that ${first[0]?.holder ?? 'a killed process'} left behind.`);
      return 'released';
    }
    if (verdict === 'wait') await sleep(200);
  }
}

/**
 * A living holder, or what the others are. Holders that vanish were forgotten by somebody who freed the lock, and whoever has it now is
 * another: that is never taken for death. The lock file of its data directory has shut out every other process of an embedded database.
 */
function judge(
  first: readonly Holder[],
  now: readonly Holder[],
  embedded: boolean,
): Holder | 'unknown' | 'dead' | 'wait' {
  const unchanged = (row: Holder): boolean => first.some((each) => isSame(each, row) && each.expires === row.expires);
  const living = embedded ? undefined : now.find((row) => !row.expired && !unchanged(row));
  if (living !== undefined) return living;
  if (first.length === 0 || !includesAll(now, first)) return 'unknown';
  return embedded || now.every((row) => row.expired) ? 'dead' : 'wait';
}

/** Nobody else can free the lock, take it or revive a lease between the last look and the release. @returns false: look again */
function release(db: Database, tables: Tables, first: readonly Holder[]): Promise<boolean> {
  return db.transaction(async (tx) => {
    const locked = await tx.query(`SELECT 1 FROM ${tables.lock} WHERE is_locked <> 0 FOR UPDATE`);
    if (locked.rows.length === 0) return false;
    const now = await readHolders(tx, tables, 'FOR UPDATE');
    const dead = now.filter((row) => row.expired || db.embedded);
    if (!includesAll(dead, first)) return false;
    await tx.query(`UPDATE ${tables.lock} SET is_locked = 0`);
    await tx.query(
      `UPDATE ${tables.leases} SET holder = NULL, step = NULL, expires = NULL WHERE holder = ANY($1::text[])`,
      [dead.map((row) => row.holder)],
    );
    return true;
  });
}

/**
 * The steps that can hold this lock: under knex, and alive after it was taken. A row that was last written before the lock's (the
 * transaction's number says so) is a run's that had ended by then.
 */
async function readHolders(db: Queryable, tables: Tables, locking: '' | 'FOR UPDATE' = ''): Promise<Holder[]> {
  const { rows } = await db.query<Holder>(
    `SELECT migration_id, holder, step, expires, ${ENDED} AS expired FROM ${tables.leases} l
     WHERE holder LIKE '%${UNDER_KNEX}' AND ${OF_LOCK} AND pg_catalog.age(l.xmin) <=
       (SELECT pg_catalog.min(pg_catalog.age(k.xmin)) FROM ${tables.lock} k WHERE k.is_locked <> 0) ${locking}`,
    [tables.lock],
  );
  return rows;
}

/**
 * While nobody has the lock, no lease of its ledger can be its holder's: those that have ended lose their name, those that go on (a process that
 * lives on after its migrations) their mark, so that none is taken for the holder of a later lock.
 */
async function forget(db: Queryable, { leases, lock }: Tables): Promise<void> {
  await db.query(
    `UPDATE ${leases} l SET step = CASE WHEN ${ENDED} THEN NULL ELSE step END, expires = CASE WHEN ${ENDED} THEN NULL ELSE expires END,
       holder = CASE WHEN ${ENDED} THEN NULL ELSE pg_catalog.left(holder, -${UNDER_KNEX.length}) END
     WHERE holder IS NOT NULL AND (${ENDED} OR holder LIKE '%${UNDER_KNEX}') AND ${OF_LOCK}
       AND NOT EXISTS (SELECT 1 FROM ${lock} WHERE is_locked <> 0)`,
    [lock],
  );
}

function isSame(a: Holder, b: Holder): boolean {
  return a.migration_id === b.migration_id && a.holder === b.holder;
}

function includesAll(rows: readonly Holder[], wanted: readonly Holder[]): boolean {
  return wanted.every((each) => rows.some((row) => isSame(each, row)));
}

async function exists(db: Queryable, table: string): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>('SELECT pg_catalog.to_regclass($1) IS NOT NULL AS found', [
    table,
  ]);
  return rows[0]?.found === true;
}
