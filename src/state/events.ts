import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/** Writes a line into the migration's history, which `status` shows and which outlives the migration's record. */
export async function recordEvent(
  db: Queryable,
  stateSchema: string,
  migrationId: string,
  kind: string,
  detail: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await db.query(
    `INSERT INTO ${quoteIdentifier(stateSchema)}.events (migration_id, kind, detail) VALUES ($1, $2, $3)`,
    [migrationId, kind, JSON.stringify(detail)],
  );
}
