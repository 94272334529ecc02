import { setTimeout as sleep } from 'node:timers/promises';
import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Queryable } from '../db/types.ts';
import { BusyError, PreflightError, type Step } from '../errors.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { adaptedColumn } from './adapted-column.ts';
import { type MigrationContext, throwIfStopped } from './context.ts';
import { QUALITY_COLUMNS, qualityTables } from './quality-tables.ts';
import { spendingTables } from './spending-tables.ts';

/** Raised with every change of the state's tables, together with a step in UPGRADES; a newer one than this is refused. */
export const STATE_VERSION = 6;

/** The statements that lead from a version to the next, for the quoted schema. */
const UPGRADES: ReadonlyMap<number, (schema: string) => string> = new Map([
  [
    1,
    // An OID means nothing in a restored database; pg_dump writes a regclass as the table's name.
    (schema) => `ALTER TABLE ${schema}.migrations ALTER COLUMN table_oid TYPE pg_catalog.regclass;
      ALTER TABLE ${schema}.leases ADD COLUMN knex_lock text`,
  ],
  [2, (schema) => spendingTables(schema).join('; ')],
  [
    3,
    // All nullable without a default: no row is rewritten.
    (schema) => `ALTER TABLE ${schema}.migrations ADD COLUMN text_expression text, ADD COLUMN paused_at timestamptz,
      ADD COLUMN paused_by text, ADD COLUMN throttle jsonb`,
  ],
  [4, (schema) => [addColumns(schema, QUALITY_COLUMNS), ...qualityTables(schema)].join('; ')],
  [5, (schema) => addColumns(schema, adaptedColumn(schema))],
]);

function addColumns(schema: string, columns: string): string {
  return `ALTER TABLE ${schema}.migrations ${columns
    .split(', ')
    .map((column) => `ADD COLUMN ${column}`)
    .join(', ')}`;
}

/** Requests of the application read the state: nobody waits behind us for longer. */
const LOCK_TIMEOUT_MS = 100;
const PAUSE_MS = 400;
const ATTEMPTS = 60;

/** @throws PreflightError `state_newer` */
export async function refuseNewerState(db: Queryable, schema: string): Promise<void> {
  newerRefused(schema, await readVersion(db, schema));
}

/**
 * Brings the state that an older reembed made to the present version. The tables must be there.
 *
 * @throws PreflightError `state_newer`, `state_upgrade_denied` for a role that does not own the tables; BusyError `state_locked`
 */
export async function upgradeState(
  ctx: Pick<MigrationContext, 'db' | 'runtime' | 'signal'>,
  step: Step,
): Promise<void> {
  const { stateSchema } = ctx.runtime;
  if (newerRefused(stateSchema, await readVersion(ctx.db, stateSchema)) === STATE_VERSION) return;
  for (let attempt = 1; ; attempt++) {
    throwIfStopped(ctx, step);
    try {
      await ctx.db.transaction((tx) => upgradeLocked(tx, stateSchema), { lockTimeoutMs: LOCK_TIMEOUT_MS });
      return;
    } catch (error) {
      const sqlState = sqlStateOf(error);
      if (sqlState === SQLSTATE.insufficientPrivilege) throw upgradeDenied(stateSchema, step, error);
      if (sqlState !== SQLSTATE.lockNotAvailable) throw error;
      if (attempt === ATTEMPTS) throw stateLocked(stateSchema, step, error);
    }
    await sleep(PAUSE_MS, undefined, ctx.signal === undefined ? {} : { signal: ctx.signal }).catch(() =>
      throwIfStopped(ctx, step),
    );
  }
}

async function upgradeLocked(tx: Queryable, schema: string): Promise<void> {
  const s = quoteIdentifier(schema);
  await tx.query(`LOCK TABLE ${s}.migrations IN ACCESS EXCLUSIVE MODE`);
  // Another process may have done it while this one waited.
  for (let version = newerRefused(schema, await readVersion(tx, schema)); version < STATE_VERSION; version++) {
    const statements = UPGRADES.get(version);
    if (statements === undefined) throw new Error(`no upgrade leads on from version ${version} of the state`);
    await tx.query(statements(s));
  }
  await tx.query(`UPDATE ${s}.meta SET value = $1 WHERE key = 'version'`, [String(STATE_VERSION)]);
}

async function readVersion(db: Queryable, schema: string): Promise<number> {
  const { rows } = await db.query<{ value: string }>(
    `SELECT value FROM ${quoteIdentifier(schema)}.meta WHERE key = 'version'`,
  );
  return Number(rows[0]?.value ?? STATE_VERSION);
}

function newerRefused(schema: string, found: number): number {
  if (found <= STATE_VERSION) return found;
  throw new PreflightError(
    'state_newer',
    `The state in schema "${schema}" has version ${found}, this reembed knows ${STATE_VERSION}.`,
    {
      step: 'expand',
      hint: 'Update the package "reembed" to the version that the other deployment uses.',
    },
  );
}

function upgradeDenied(schema: string, step: Step, cause: unknown): PreflightError {
  return new PreflightError(
    'state_upgrade_denied',
    `An older reembed made the state in schema "${schema}", and this role may not change its tables.`,
    { step, hint: 'Run the command once as the role that ran the first migration: it owns them.', cause },
  );
}

function stateLocked(schema: string, step: Step, cause: unknown): BusyError {
  return new BusyError(
    'state_locked',
    `${quoteIdentifier(schema)}.migrations could not be locked for a moment in ${ATTEMPTS} tries, to bring it to version ${STATE_VERSION}.`,
    {
      step,
      hint: 'End or wait for the transactions that have read it, then run the same command again: nothing was changed.',
      cause,
    },
  );
}
