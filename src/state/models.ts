import { createHash } from 'node:crypto';
import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/** A model's fingerprint as the state keeps it: any JSON object; `providers` gives it its form. */
export type StoredFingerprint = Readonly<Record<string, unknown>>;

/**
 * The id of a model in this database: the same fingerprint always gets the same id, any difference another one.
 *
 * @returns a positive integer, which the provenance columns hold
 */
export async function registerModel(
  db: Queryable,
  stateSchema: string,
  fingerprint: StoredFingerprint,
): Promise<number> {
  const table = `${quoteIdentifier(stateSchema)}.models`;
  const hash = fingerprintHash(fingerprint);
  // Looked up first: an INSERT that meets a conflict still takes a number from the sequence.
  const found = await db.query<{ id: number }>(`SELECT id FROM ${table} WHERE fingerprint_hash = $1`, [hash]);
  if (found.rows[0] !== undefined) return found.rows[0].id;
  const { rows } = await db.query<{ id: number }>(
    `INSERT INTO ${table} (fingerprint, fingerprint_hash) VALUES ($1, $2)
     ON CONFLICT (fingerprint_hash) DO UPDATE SET fingerprint_hash = EXCLUDED.fingerprint_hash RETURNING id`,
    [JSON.stringify(fingerprint), hash],
  );
  const row = rows[0];
  if (row === undefined) throw new Error(`${table} returned no id for a model`);
  return row.id;
}

/** The fingerprint behind an id, or undefined. */
export async function readModel(
  db: Queryable,
  stateSchema: string,
  id: number,
): Promise<StoredFingerprint | undefined> {
  const { rows } = await db.query<{ fingerprint: StoredFingerprint }>(
    `SELECT fingerprint FROM ${quoteIdentifier(stateSchema)}.models WHERE id = $1`,
    [id],
  );
  return rows[0]?.fingerprint;
}

/** sha256 of the fingerprint's JSON with sorted keys, in hex. */
export function fingerprintHash(fingerprint: StoredFingerprint): string {
  return createHash('sha256').update(canonicalJson(fingerprint)).digest('hex');
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, v]) => v !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
