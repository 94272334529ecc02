import type { Queryable } from '../db/types.ts';
import { byteaArrayLiteral, textArrayLiteral } from '../sql/array-literal.ts';
import { countHeldBackSql } from '../sql/held-back.ts';
import { countHeldVersionsSql, isMapped } from '../sql/read-vectors.ts';
import type { VectorTarget } from '../sql/target.ts';
import { textHash } from './text-hash.ts';
import type { SourceRow } from './types.ts';

/** How many of these rows are still pending with the text that was read: locked by somebody, not edited meanwhile. */
export async function countHeldBack(
  db: Queryable,
  target: VectorTarget,
  modelId: number,
  migrationId: string,
  rows: readonly SourceRow[],
): Promise<number> {
  const keys = target.key.map((_, i) => textArrayLiteral(rows.map((row) => row.key[i] ?? '')));
  if (isMapped(target)) {
    const versions = textArrayLiteral(rows.map((row) => row.version ?? null));
    const held = await db.query<{ count: number }>(countHeldVersionsSql(target, modelId, migrationId), [
      ...keys,
      versions,
    ]);
    return held.rows[0]?.count ?? 0;
  }
  const hashes = byteaArrayLiteral(rows.map((row) => textHash(row.text)));
  const found = await db.query<{ count: number }>(countHeldBackSql(target, modelId, migrationId), [...keys, hashes]);
  return found.rows[0]?.count ?? 0;
}
