import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/** A line of a migration's history. */
export interface MigrationEvent {
  readonly at: string;
  readonly kind: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** The history of a migration, newest first. */
export async function listEvents(
  db: Queryable,
  stateSchema: string,
  migrationId: string,
  limit: number,
): Promise<MigrationEvent[]> {
  const { rows } = await db.query<MigrationEvent>(
    `SELECT at, kind, detail FROM ${quoteIdentifier(stateSchema)}.events WHERE migration_id = $1 ORDER BY id DESC LIMIT $2`,
    [migrationId, limit],
  );
  return rows;
}
