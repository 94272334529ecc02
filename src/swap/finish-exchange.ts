import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Session } from '../db/types.ts';
import { IntegrityError } from '../errors.ts';
import { commentOnConstraintSql, notNullCheckName, readUnvalidatedComment } from '../sql/exchange.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { tableTreeSql } from '../sql/relation-size.ts';
import { tableSql } from '../sql/target.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import { withTableLock } from './lock-table.ts';

interface Unfinished {
  /** The table, or the partition that has a constraint of its own. */
  readonly schema: string;
  readonly table: string;
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
      if (!check.validated) await validate(session, check);
      if (check.name === standIn) continue;
      const original = readUnvalidatedComment(check.comment ?? undefined)?.original;
      await session.query(commentOnConstraintSql(check, check.name, original));
    }
  } finally {
    // The embedded database has one session for everybody: what was set must not stay.
    await session.query('RESET statement_timeout; RESET lock_timeout').catch(() => undefined);
    await session.close().catch(() => undefined);
  }
  for (const check of unfinished) if (check.name === standIn) await setNotNull(ctx, resolved, check);
}

async function readUnfinished(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  standIn: string,
): Promise<Unfinished[]> {
  const { rows } = await ctx.db.query<Unfinished>(
    `SELECT n.nspname AS schema, t.relname AS table, c.conname AS name, c.convalidated AS validated,
       pg_catalog.obj_description(c.oid, 'pg_constraint') AS comment
     FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
     JOIN pg_catalog.pg_class t ON t.oid = c.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
     WHERE c.conrelid IN ${tableTreeSql('$1::oid')} AND c.coninhcount = 0 AND c.contype = 'c' AND a.attname = $2
     ORDER BY c.conrelid <> $1, c.conname, n.nspname, t.relname`,
    [resolved.table.oid, resolved.record.column],
  );
  return rows.filter((row) => row.name === standIn || readUnvalidatedComment(row.comment ?? undefined) !== undefined);
}

async function validate(session: Session, check: Unfinished): Promise<void> {
  const constraint = check.name;
  try {
    await session.query(`ALTER TABLE ${tableSql(check)} VALIDATE CONSTRAINT ${quoteIdentifier(constraint)}`);
  } catch (cause) {
    if (sqlStateOf(cause) !== SQLSTATE.checkViolation) throw cause;
    throw new IntegrityError(
      'check_violated',
      `The exchange is done, but a row of ${check.schema}.${check.table} violates "${constraint}", which holds for new rows only so far.`,
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
async function setNotNull(ctx: MigrationContext, resolved: ResolvedMigration, standIn: Unfinished): Promise<void> {
  const table = tableSql(standIn);
  await withTableLock(ctx, resolved.table, 'cut-over', (tx) =>
    tx.query(
      `ALTER TABLE ${table} ALTER COLUMN ${quoteIdentifier(resolved.record.column)} SET NOT NULL;
       ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS ${quoteIdentifier(standIn.name)}`,
    ),
  );
}
