import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { ThrottleLook } from './throttle-look.ts';

/** Who asked the backfill to hold, and when. */
export interface Pause {
  readonly by: string;
  readonly at: string;
}

export interface Hold {
  /** Null while nobody has paused the migration. */
  readonly pause: Pause | null;
  /** The last look of a run at the database's health; null before the first. */
  readonly throttle: ThrottleLook | null;
}

const NOTHING: Hold = { pause: null, throttle: null };

/** Whether a migration is paused, and what its last run saw. Nothing of either where the state is older than both. */
export async function readHold(db: Queryable, stateSchema: string, id: string): Promise<Hold> {
  try {
    const { rows } = await db.query<{ by: string | null; at: string | null; throttle: ThrottleLook | null }>(
      `SELECT paused_by AS by, paused_at AS at, throttle FROM ${quoteIdentifier(stateSchema)}.migrations WHERE id = $1`,
      [id],
    );
    const [row] = rows;
    if (row === undefined) return NOTHING;
    return { pause: row.at === null ? null : { by: row.by ?? 'somebody', at: row.at }, throttle: row.throttle };
  } catch (error) {
    // A look from outside, before the first step has brought the state up.
    if (sqlStateOf(error) === SQLSTATE.undefinedColumn) return NOTHING;
    throw error;
  }
}

/**
 * Pauses a migration; who paused it first stays named.
 *
 * @returns the pause that holds now, or undefined where the migration has no record yet
 */
export async function setPause(db: Queryable, stateSchema: string, id: string, by: string): Promise<Pause | undefined> {
  const { rows } = await db.query<Pause>(
    `UPDATE ${quoteIdentifier(stateSchema)}.migrations SET paused_by = CASE WHEN paused_at IS NULL THEN $2::text ELSE paused_by END,
       paused_at = COALESCE(paused_at, pg_catalog.date_trunc('second', pg_catalog.clock_timestamp())) WHERE id = $1 RETURNING paused_by AS by, paused_at AS at`,
    [id, by],
  );
  return rows[0];
}

/** @returns whether the migration was paused */
export async function clearPause(db: Queryable, stateSchema: string, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE ${quoteIdentifier(stateSchema)}.migrations SET paused_by = NULL, paused_at = NULL WHERE id = $1 AND paused_at IS NOT NULL`,
    [id],
  );
  return rowCount > 0;
}

/** Keeps what a run sees of the database, for `status` in another process. */
export async function saveThrottleLook(
  db: Queryable,
  stateSchema: string,
  id: string,
  look: ThrottleLook,
): Promise<void> {
  await db.query(`UPDATE ${quoteIdentifier(stateSchema)}.migrations SET throttle = $2 WHERE id = $1`, [
    id,
    JSON.stringify(look),
  ]);
}
