import type { Queryable } from '../../db/types.ts';
import { ConfigError } from '../../errors.ts';

/** A text search configuration. */
export interface Language {
  /** As it is called where it is found by the search path, else with its schema. */
  readonly name: string;
  /** Qualified and quoted, to be cast to regconfig. */
  readonly sql: string;
}

/**
 * Finds a text search configuration by name (`english`, `app.product_names`), or the database's own.
 *
 * @throws ConfigError `language_unknown` with the names that there are
 */
export async function readLanguage(db: Queryable, name: string | undefined): Promise<Language> {
  const { rows } = await db.query<Language & { asked: boolean }>(
    `SELECT CASE WHEN pg_catalog.pg_ts_config_is_visible(c.oid) THEN c.cfgname ELSE n.nspname || '.' || c.cfgname END AS name,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.cfgname) AS sql,
       CASE WHEN $1::text IS NULL THEN c.oid = pg_catalog.get_current_ts_config()
         ELSE n.nspname || '.' || c.cfgname = $1 OR (c.cfgname = $1 AND pg_catalog.pg_ts_config_is_visible(c.oid)) END AS asked
     FROM pg_catalog.pg_ts_config c JOIN pg_catalog.pg_namespace n ON n.oid = c.cfgnamespace ORDER BY 1`,
    [name ?? null],
  );
  const found = rows.find(({ asked }) => asked);
  if (found !== undefined) return { name: found.name, sql: found.sql };
  throw new ConfigError('language_unknown', `This database has no text search configuration "${name}".`, {
    hint: `Take one of ${rows.map((row) => row.name).join(', ')}.`,
  });
}
