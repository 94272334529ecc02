import type { Queryable } from '../db/types.ts';
import { embeddableSql, notEmbeddedSql, notQuarantinedSql } from '../sql/pending.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';

/** Pending rows, counted up to `limit`: cheap with few of them and a partial index. */
export async function countPendingUpTo(
  db: Queryable,
  target: VectorTarget,
  modelId: number,
  migrationId: string,
  limit: number,
): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM (SELECT 1 FROM ${tableSql(target)} t WHERE ${notEmbeddedSql(target, 't', modelId)}
       AND ${embeddableSql(target, 't')} AND ${notQuarantinedSql(target, 't', migrationId)} LIMIT $1) p`,
    [limit],
  );
  return rows[0]?.n ?? 0;
}
