import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/** Rows that a look counts at most, on either side. */
export const LOOK_LIMIT = 1_000;

/** What a sync worker leaves behind at every look. */
export interface SyncMark {
  /** Host and process. */
  readonly holder: string;
  /** Rows that had no vector of their text at the last look; at most `LOOK_LIMIT` are counted. */
  readonly pending: number;
  /** The same of the kept old column; null where there is none. */
  readonly missingOld: number | null;
  /** Woken by NOTIFY at present; else it polls. */
  readonly listening: boolean;
  /** Why it waits: an outage, a lease; null when it does not. */
  readonly problem: string | null;
  /** Seconds within which the next look is due. */
  readonly dueSeconds: number;
}

export interface SeenSync extends SyncMark {
  /** Seconds since that look. */
  readonly ageSeconds: number;
  /** False when looks are overdue: the worker was killed, or hangs. */
  readonly alive: boolean;
}

/** Looks may be late by so much before a worker counts as dead: a long batch, a busy database. */
const PATIENCE_SECONDS = 60;

export async function writeSyncMark(db: Queryable, schema: string, id: string, mark: SyncMark): Promise<void> {
  await db.query(
    `INSERT INTO ${quoteIdentifier(schema)}.meta (key, value)
     VALUES ($1, ($2::jsonb || pg_catalog.jsonb_build_object('at', pg_catalog.clock_timestamp()))::text)
     ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value`,
    [keyOf(id), JSON.stringify(mark)],
  );
}

/** The last look of a sync worker; undefined when none runs. */
export async function readSyncMark(db: Queryable, schema: string, id: string): Promise<SeenSync | undefined> {
  const { rows } = await db.query<{ mark: SyncMark & { readonly at: string }; age: number }>(
    `SELECT m.value::jsonb AS mark,
       EXTRACT(epoch FROM pg_catalog.clock_timestamp() - (m.value::jsonb ->> 'at')::timestamptz)::float8 AS age
     FROM ${quoteIdentifier(schema)}.meta m WHERE m.key = $1`,
    [keyOf(id)],
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  const { at: _at, ...mark } = row.mark;
  const ageSeconds = Math.max(0, Math.round(row.age));
  return { ...mark, ageSeconds, alive: ageSeconds <= mark.dueSeconds + PATIENCE_SECONDS };
}

/** Only a worker's own: another one may have begun since. */
export async function removeSyncMark(db: Queryable, schema: string, id: string, holder: string): Promise<void> {
  await db.query(`DELETE FROM ${quoteIdentifier(schema)}.meta WHERE key = $1 AND value::jsonb ->> 'holder' = $2`, [
    keyOf(id),
    holder,
  ]);
}

function keyOf(id: string): string {
  return `sync:${id}`;
}
