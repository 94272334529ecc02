import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/** Share of the requests that `route` gives to the new model, 0..100; null where nobody has set one, or the state is older than it. */
export async function readRoutePercent(db: Queryable, stateSchema: string, id: string): Promise<number | null> {
  try {
    const { rows } = await db.query<{ percent: number | null }>(
      `SELECT route_percent::float8 AS percent FROM ${quoteIdentifier(stateSchema)}.migrations WHERE id = $1`,
      [id],
    );
    return rows[0]?.percent ?? null;
  } catch (error) {
    if (sqlStateOf(error) === SQLSTATE.undefinedColumn) return null;
    throw error;
  }
}

/**
 * Search clients follow with their next request. `null` gives all requests to the active model again.
 *
 * @returns false where the migration has no record yet
 */
export async function setRoutePercent(
  db: Queryable,
  stateSchema: string,
  id: string,
  percent: number | null,
): Promise<boolean> {
  if (percent !== null && !(percent >= 0 && percent <= 100)) {
    throw new RangeError(`a share of the requests is 0 to 100 percent, got ${percent}`);
  }
  const { rowCount } = await db.query(
    `UPDATE ${quoteIdentifier(stateSchema)}.migrations SET route_percent = $2 WHERE id = $1`,
    [id, percent],
  );
  return rowCount > 0;
}
