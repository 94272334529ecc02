import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Session } from '../db/types.ts';
import { IntegrityError } from '../errors.ts';
import { commentOnConstraintSql, notNullCheckName, readUnvalidatedComment } from '../sql/exchange.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { tableSql } from '../sql/target.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import { withTableLock } from './lock-table.ts';

interface Unfinished {
  readonly name: string;
  readonly validated: boolean;
  readonly comment: string | null;
}

/**
 * What the exchange left for after its commit: validates the CHECKs that it moved, without a lock that anybody notices, and turns the
 * stand-in CHECK into NOT NULL. Can be repeated at any point.
 *
 * @throws IntegrityError `check_violated` when a row's vector violates a constraint; the exchange itself stands
 */
export async function finishExchange(ctx: MigrationContext, resolved: ResolvedMigration): Promise<void> {
  const standIn = notNullCheckName(resolved.record.id);
  const unfinished = await readUnfinished(ctx, resolved, standIn);
  if (unfinished.length === 0) return;
  const session = await ctx.db.openSession();
  try {
    // Validation reads the whole table; its lock shuts out neither readers nor writers.
    await session.query('SET statement_timeout = 0');
    await session.query('SET lock_timeout = 0');
    for (const check of unfinished) {
      throwIfStopped(ctx, 'cut-over');
      if (!check.validated) await validate(session, resolved, check.name);
      if (check.name === standIn) continue;
      const original = readUnvalidatedComment(check.comment ?? undefined)?.original;
      await session.query(commentOnConstraintSql(names(resolved), check.name, original));
    }
  } finally {
    // The embedded database has one session for everybody: what was set must not stay.
    await session.query('RESET statement_timeout; RESET lock_timeout').catch(() => undefined);
    await session.close().catch(() => undefined);
  }
  if (unfinished.some((check) => check.name === standIn)) await setNotNull(ctx, resolved, standIn);
}

function names({ table }: ResolvedMigration): { schema: string; table: string } {
  return { schema: table.schema, table: table.name };
}

async function readUnfinished(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  standIn: string,
): Promise<Unfinished[]> {
  const { rows } = await ctx.db.query<Unfinished>(
    `SELECT c.conname AS name, c.convalidated AS validated, pg_catalog.obj_description(c.oid, 'pg_constraint') AS comment
     FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
     WHERE c.conrelid = $1 AND c.contype = 'c' AND a.attname = $2 ORDER BY c.conname`,
    [resolved.table.oid, resolved.record.column],
  );
  return rows.filter((row) => row.name === standIn || readUnvalidatedComment(row.comment ?? undefined) !== undefined);
}

async function validate(session: Session, resolved: ResolvedMigration, constraint: string): Promise<void> {
  try {
    await session.query(`ALTER TABLE ${tableSql(names(resolved))} VALIDATE CONSTRAINT ${quoteIdentifier(constraint)}`);
  } catch (cause) {
    if (sqlStateOf(cause) !== SQLSTATE.checkViolation) throw cause;
    throw new IntegrityError(
      'check_violated',
      `The exchange is done, but a row of ${resolved.table.schema}.${resolved.table.name} violates "${constraint}", which holds for new rows only so far.`,
      {
        step: 'cut-over',
        hint: 'Run "reembed verify" to find the rows, repair them, then run the same command again.',
        context: { constraint },
        cause,
      },
    );
  }
}

/** With a valid CHECK of the same meaning, SET NOT NULL reads no row: the lock is as short as the exchange's. */
async function setNotNull(ctx: MigrationContext, resolved: ResolvedMigration, standIn: string): Promise<void> {
  const table = tableSql(names(resolved));
  await withTableLock(ctx, resolved.table, 'cut-over', (tx) =>
    tx.query(
      `ALTER TABLE ${table} ALTER COLUMN ${quoteIdentifier(resolved.record.column)} SET NOT NULL;
       ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS ${quoteIdentifier(standIn)}`,
    ),
  );
}
