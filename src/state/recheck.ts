import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/** What left work behind its commit: an exchange back, or a trigger that was missing for a while. */
export type RecheckReason = 'undo' | 'trigger';

/**
 * Notes, in the transaction that makes it necessary, that rows and constraints of a migration are to be looked at again: whoever comes
 * next does it, should this process die first. An exchange back asks for more than a trigger, and stands.
 */
export async function markRecheck(tx: Queryable, schema: string, id: string, reason: RecheckReason): Promise<void> {
  await tx.query(
    `INSERT INTO ${quoteIdentifier(schema)}.meta AS m (key, value) VALUES ($1, $2)
     ON CONFLICT (key) DO UPDATE SET value = CASE WHEN m.value = 'undo' THEN m.value ELSE excluded.value END`,
    [keyOf(id), reason],
  );
}

/** Why a migration is to be looked at again; undefined when it is not. */
export async function readRecheck(db: Queryable, schema: string, id: string): Promise<RecheckReason | undefined> {
  const { rows } = await db.query<{ value: string }>(
    `SELECT value FROM ${quoteIdentifier(schema)}.meta WHERE key = $1`,
    [keyOf(id)],
  );
  const value = rows[0]?.value;
  if (value === undefined) return undefined;
  return value === 'trigger' ? 'trigger' : 'undo';
}

export async function clearRecheck(db: Queryable, schema: string, id: string): Promise<void> {
  await db.query(`DELETE FROM ${quoteIdentifier(schema)}.meta WHERE key = $1`, [keyOf(id)]);
}

function keyOf(id: string): string {
  return `recheck:${id}`;
}
