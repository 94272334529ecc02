/** The tables about search quality, for the quoted schema; of a fresh state and of one that is brought up. */
export function qualityTables(schema: string): string[] {
  const ofMigration = `text NOT NULL REFERENCES ${schema}.migrations ON DELETE CASCADE`;
  return [
    `CREATE TABLE ${schema}.evaluations (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, migration_id ${ofMigration}, at timestamptz NOT NULL DEFAULT now(),
       verdict text NOT NULL CHECK (verdict IN ('go', 'no-go', 'inconclusive')), report jsonb NOT NULL)`,
    `CREATE TABLE ${schema}.shadow_searches (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, migration_id ${ofMigration}, at timestamptz NOT NULL DEFAULT now(),
       served text NOT NULL CHECK (served IN ('old', 'new')), k integer NOT NULL,
       overlap real NOT NULL, rank_biased_overlap real NOT NULL, served_ms real NOT NULL, shadow_ms real NOT NULL, detail jsonb NOT NULL)`,
    `CREATE INDEX ON ${schema}.shadow_searches (migration_id, at)`,
    `CREATE TABLE ${schema}.keyword_corpora (
       migration_id text PRIMARY KEY REFERENCES ${schema}.migrations ON DELETE CASCADE, language text NOT NULL, index_name text NOT NULL,
       documents bigint, tokens bigint, counted_at timestamptz, generation integer NOT NULL, counting integer)`,
    `CREATE TABLE ${schema}.keyword_terms (
       migration_id ${ofMigration}, generation integer NOT NULL, term text NOT NULL, documents bigint NOT NULL, PRIMARY KEY (migration_id, generation, term))`,
  ];
}

/**
 * Columns of `migrations`: how much of the traffic the new vectors serve, how their indexes are best searched, and whether an exchange went
 * ahead without a few rows' vectors, which only the other column has until they are filled.
 */
export const QUALITY_COLUMNS = 'route_percent real, search_settings jsonb, has_gaps boolean';
