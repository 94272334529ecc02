import type { Queryable } from '../db/types.ts';
import { textArrayLiteral } from '../sql/array-literal.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { keyJsonSql, quarantineHashSql } from '../sql/pending.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';

export interface QuarantinedRow {
  /** The key's values as text, in key order. */
  readonly key: readonly string[];
  readonly reason: string;
  readonly at: string;
}

/** Puts rows aside with the hash of the text that failed: an edited text gets another try. */
export async function quarantineRows(
  db: Queryable,
  stateSchema: string,
  migrationId: string,
  rows: readonly { readonly key: readonly string[]; readonly hash: Uint8Array; readonly reason: string }[],
): Promise<void> {
  for (const row of rows) {
    await db.query(
      `INSERT INTO ${quoteIdentifier(stateSchema)}.quarantine (migration_id, key, text_hash, reason) VALUES ($1, $2, $3, $4)
       ON CONFLICT (migration_id, key) DO UPDATE SET text_hash = EXCLUDED.text_hash, reason = EXCLUDED.reason, at = now()`,
      [migrationId, JSON.stringify(row.key), Buffer.from(row.hash), row.reason],
    );
  }
}

/** The same for rows whose old vector cannot be mapped: known by the text that they have now, or by the vector where there is none. */
export async function quarantineMapped(
  db: Queryable,
  target: VectorTarget,
  migrationId: string,
  rows: readonly { readonly key: readonly string[]; readonly reason: string }[],
): Promise<void> {
  const arrays = target.key.map((column, i) => `$${i + 2}::text[]::${column.type}[]`);
  const match = target.key.map((column, i) => `t.${quoteIdentifier(column.name)} = i.k${i}`).join(' AND ');
  await db.query(
    `INSERT INTO ${quoteIdentifier(target.stateSchema)}.quarantine (migration_id, key, text_hash, reason)
     SELECT $1, ${keyJsonSql(target, 't')}, ${quarantineHashSql(target, 't')}, i.reason
     FROM unnest(${arrays.join(', ')}, $${arrays.length + 2}::text[]) AS i(${target.key.map((_, i) => `k${i}`).join(', ')}, reason)
     JOIN ${tableSql(target)} t ON ${match} WHERE ${quarantineHashSql(target, 't')} IS NOT NULL
     ON CONFLICT (migration_id, key) DO UPDATE SET text_hash = EXCLUDED.text_hash, reason = EXCLUDED.reason, at = now()`,
    [
      migrationId,
      ...target.key.map((_, i) => textArrayLiteral(rows.map((row) => row.key[i] ?? ''))),
      textArrayLiteral(rows.map((row) => row.reason)),
    ],
  );
}

/** Rows in quarantine, entries of rows that were edited since included. */
export async function listQuarantine(
  db: Queryable,
  stateSchema: string,
  migrationId: string,
  limit = 100,
): Promise<QuarantinedRow[]> {
  const { rows } = await db.query<QuarantinedRow>(
    `SELECT key, reason, at FROM ${quoteIdentifier(stateSchema)}.quarantine WHERE migration_id = $1 ORDER BY at, key LIMIT $2`,
    [migrationId, limit],
  );
  return rows;
}

export async function hasQuarantine(db: Queryable, stateSchema: string, migrationId: string): Promise<boolean> {
  const { rows } = await db.query(
    `SELECT 1 FROM ${quoteIdentifier(stateSchema)}.quarantine WHERE migration_id = $1 LIMIT 1`,
    [migrationId],
  );
  return rows.length > 0;
}

/** Releases a migration's rows: all of them, or those that came in since a time of the database's clock. */
export async function clearQuarantine(
  db: Queryable,
  stateSchema: string,
  migrationId: string,
  since = '-infinity',
): Promise<void> {
  await db.query(
    `DELETE FROM ${quoteIdentifier(stateSchema)}.quarantine WHERE migration_id = $1 AND at >= $2::timestamptz`,
    [migrationId, since],
  );
}

/** The database's time, as text with all its digits. */
export async function readClock(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ now: string }>('SELECT pg_catalog.clock_timestamp()::text AS now');
  return rows[0]?.now ?? '';
}
