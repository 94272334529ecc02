import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { IndexDefinition } from '../sql/index-definition.ts';

/** An index that is being built anew, kept so that the next run finishes what an interrupted one began. */
export interface PendingRebuild {
  readonly index: string;
  readonly definition: IndexDefinition;
  /** Of the index; a new one has none until it is given. */
  readonly comment?: string | null;
  /** The old one goes first, and is nowhere but here until the new one is there. */
  readonly dropFirst: boolean;
  /** The new one has the name; what is left is to drop the old one. */
  readonly exchanged: boolean;
}

export async function readPendingRebuild(
  db: Queryable,
  stateSchema: string,
  id: string,
): Promise<PendingRebuild | undefined> {
  const { rows } = await db.query<{ value: PendingRebuild }>(
    `SELECT value::jsonb AS value FROM ${quoteIdentifier(stateSchema)}.meta WHERE key = $1`,
    [keyOf(id)],
  );
  return rows[0]?.value;
}

export async function savePendingRebuild(
  db: Queryable,
  stateSchema: string,
  id: string,
  rebuild: PendingRebuild,
): Promise<void> {
  await db.query(
    `INSERT INTO ${quoteIdentifier(stateSchema)}.meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    [keyOf(id), JSON.stringify(rebuild)],
  );
}

export async function clearPendingRebuild(db: Queryable, stateSchema: string, id: string): Promise<void> {
  await db.query(`DELETE FROM ${quoteIdentifier(stateSchema)}.meta WHERE key = $1`, [keyOf(id)]);
}

function keyOf(id: string): string {
  return `rebuild:${id}`;
}
