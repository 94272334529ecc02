import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/** An evaluation as the state keeps it; `evaluate` gives the report its form. */
export interface StoredEvaluation {
  readonly verdict: 'go' | 'no-go' | 'inconclusive';
  /** When it began, by the database's clock; in ISO 8601, to the microsecond. */
  readonly at: string;
  /** `summary` is a sentence for people. */
  readonly report: unknown;
}

/** @param at the database's clock before the first row was read: what is written later is a change since */
export async function storeEvaluation(
  db: Queryable,
  stateSchema: string,
  migrationId: string,
  { verdict, at, report }: StoredEvaluation,
): Promise<void> {
  await db.query(
    `INSERT INTO ${quoteIdentifier(stateSchema)}.evaluations (migration_id, at, verdict, report) VALUES ($1, $2::timestamptz, $3, $4)`,
    [migrationId, at, verdict, JSON.stringify(report)],
  );
}

/** The last one, or undefined; also where an older version's state has no place for any. */
export async function readLastEvaluation(
  db: Queryable,
  stateSchema: string,
  migrationId: string,
): Promise<StoredEvaluation | undefined> {
  const table = `${quoteIdentifier(stateSchema)}.evaluations`;
  const found = await db.query<{ found: boolean }>('SELECT pg_catalog.to_regclass($1) IS NOT NULL AS found', [table]);
  if (found.rows[0]?.found !== true) return undefined;
  const { rows } = await db.query<StoredEvaluation>(
    `SELECT verdict, report, pg_catalog.to_char(pg_catalog.timezone('UTC', at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at FROM ${table} WHERE migration_id = $1 ORDER BY id DESC LIMIT 1`,
    [migrationId],
  );
  return rows[0];
}
