/** The tables about services that are asked over the network, for the quoted schema; of a fresh state and of one that is brought up. */
export function spendingTables(schema: string): string[] {
  return [
    `CREATE TABLE ${schema}.usage (
       migration_id text PRIMARY KEY REFERENCES ${schema}.migrations ON DELETE CASCADE,
       requests bigint NOT NULL DEFAULT 0, tokens bigint NOT NULL DEFAULT 0, usd numeric NOT NULL DEFAULT 0,
       unpriced_tokens bigint NOT NULL DEFAULT 0,
       minute_began timestamptz, minute_requests bigint NOT NULL DEFAULT 0, minute_tokens bigint NOT NULL DEFAULT 0)`,
    `CREATE TABLE ${schema}.canaries (
       migration_id text PRIMARY KEY REFERENCES ${schema}.migrations ON DELETE CASCADE,
       model_id integer NOT NULL REFERENCES ${schema}.models, texts jsonb NOT NULL, vectors bytea NOT NULL,
       checked_at timestamptz NOT NULL, written_since boolean NOT NULL DEFAULT false)`,
  ];
}
