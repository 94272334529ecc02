import { quoteQualified } from './identifiers.ts';

export function shadowTable(stateSchema: string): string {
  return quoteQualified(stateSchema, 'shadow_searches');
}

/** Parameters: the migration, a JSON array of `ShadowRow` with each one's `age` in milliseconds: the clock is the database's. */
export function insertShadowSql(stateSchema: string): string {
  return (
    `INSERT INTO ${shadowTable(stateSchema)} (migration_id, at, served, k, overlap, rank_biased_overlap, served_ms, shadow_ms, detail) ` +
    "SELECT $1, pg_catalog.clock_timestamp() - r.age * interval '1 millisecond', r.served, r.k, r.overlap, r.rank_biased_overlap, r.served_ms, r.shadow_ms, r.detail " +
    'FROM pg_catalog.jsonb_to_recordset($2::jsonb) AS r(age float8, served text, k integer, overlap real, ' +
    'rank_biased_overlap real, served_ms real, shadow_ms real, detail jsonb)'
  );
}

/** Parameters: the migration, the days and the rows that stay. */
export function pruneShadowSql(stateSchema: string): string {
  const table = shadowTable(stateSchema);
  return (
    `DELETE FROM ${table} WHERE migration_id = $1 AND (at < pg_catalog.now() - $2::float8 * interval '1 day' ` +
    `OR id <= (SELECT s.id FROM ${table} s WHERE s.migration_id = $1 ORDER BY s.id DESC OFFSET $3::bigint LIMIT 1))`
  );
}

/** What the log says since `$2` of the migration `$1`, the newest `$3` searches, without their details. */
export function readShadowSql(stateSchema: string): string {
  return (
    'SELECT s.id::text AS id, s.at, served, k, overlap::float8 AS overlap, rank_biased_overlap::float8 AS "rankBiasedOverlap", ' +
    `served_ms::float8 AS "servedMs", shadow_ms::float8 AS "shadowMs", (detail -> 'firstChanged')::boolean AS "firstChanged" ` +
    `FROM ${shadowTable(stateSchema)} s WHERE s.migration_id = $1 AND s.at >= $2::timestamptz ORDER BY s.id DESC LIMIT $3::bigint`
  );
}

/** The details of the searches with the ids `$1`. */
export function shadowDetailSql(stateSchema: string): string {
  return `SELECT id::text AS id, detail FROM ${shadowTable(stateSchema)} WHERE id = ANY ($1::bigint[])`;
}
