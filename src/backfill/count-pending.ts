import type { Queryable } from '../db/types.ts';
import { notQuarantinedSql, pendingSql } from '../sql/pending.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import { readWindow } from './read-windows.ts';

/** Pending rows, counted up to `limit`: cheap with few of them and a partial index. */
export async function countPendingUpTo(
  db: Queryable,
  target: VectorTarget,
  modelId: number,
  migrationId: string,
  limit: number,
): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM (SELECT 1 FROM ${tableSql(target)} t WHERE ${pendingSql(target, 't', modelId)}
       AND ${notQuarantinedSql(target, 't', migrationId)} LIMIT $1) p`,
    [limit],
  );
  return rows[0]?.n ?? 0;
}

/**
 * True when a row is pending. Looked for behind the cursor first: in a table that is half done the next one is there, and all that lies
 * before would be read in vain.
 */
export async function hasPending(
  db: Queryable,
  target: VectorTarget,
  modelId: number,
  migrationId: string,
  cursor: readonly string[] | null,
): Promise<boolean> {
  if (cursor !== null) {
    const options = { modelId, migrationId, skipQuarantined: true };
    const { rows } = await readWindow(db, target, options, { after: cursor, upTo: null }, { rows: 1, bytes: 1 });
    if (rows.length > 0) return true;
  }
  return (await countPendingUpTo(db, target, modelId, migrationId, 1)) > 0;
}
