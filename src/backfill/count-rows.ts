import type { Queryable } from '../db/types.ts';
import { embeddableSql, notEmbeddedSql, notQuarantinedSql } from '../sql/pending.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';

/** Every row is in exactly one of done, pending, skipped, quarantined. */
export interface RowCounts {
  readonly total: number;
  readonly done: number;
  readonly pending: number;
  /** NULL, empty or blank text. */
  readonly skipped: number;
  readonly quarantined: number;
}

/** Counts by reading the whole table: for reports and gates, not for use while a backfill runs. */
export async function countRows(
  db: Queryable,
  target: VectorTarget,
  modelId: number,
  migrationId: string,
): Promise<RowCounts> {
  const open = notEmbeddedSql(target, 't', modelId);
  const embeddable = embeddableSql(target, 't');
  const free = notQuarantinedSql(target, 't', migrationId);
  const { rows } = await db.query<Record<keyof RowCounts, number>>(
    `SELECT count(*)::float8 AS total,
       count(*) FILTER (WHERE NOT (${open}))::float8 AS done,
       count(*) FILTER (WHERE ${open} AND ${embeddable} AND ${free})::float8 AS pending,
       count(*) FILTER (WHERE ${open} AND ${embeddable} IS NOT TRUE)::float8 AS skipped,
       count(*) FILTER (WHERE ${open} AND ${embeddable} AND NOT (${free}))::float8 AS quarantined
     FROM ${tableSql(target)} t`,
  );
  const row = rows[0];
  if (row === undefined) throw new Error(`no counts of ${target.schema}.${target.table}`);
  return row;
}

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
