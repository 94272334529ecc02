import type { Queryable } from '../db/types.ts';
import { type ComparedColumn, countCommonSql, hasVectorsSql } from '../sql/evaluation.ts';
import type { RowCounts } from './types.ts';

/** Counts by reading the whole table. */
export async function countRows(db: Queryable, columns: readonly ComparedColumn[]): Promise<RowCounts> {
  const { rows } = await db.query<Record<string, number>>(countCommonSql(columns));
  const [row] = rows;
  const sides = columns.map((_, i) => row?.[`side${i}`] ?? 0);
  const common = row?.both ?? 0;
  return {
    total: row?.total ?? 0,
    sides,
    common,
    adapted: row?.adapted ?? 0,
    restricted: (row?.withVector ?? 0) > common,
  };
}

/** Whether a column holds a vector, without counting. */
export async function hasVectors(db: Queryable, { target }: ComparedColumn): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>(hasVectorsSql(target));
  return rows[0]?.found === true;
}

/** The database's clock to the microsecond, in ISO 8601: what is written later counts as a change since. */
export async function readEvaluationClock(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ now: string }>(
    `SELECT pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
  );
  return rows[0]?.now ?? '';
}
