import type { Knex } from 'knex';
import type { ConnectionSettings } from '../db/types.ts';
import { ConfigError } from '../errors.ts';
import { knexLockSql } from '../state/knex-lock.ts';
import { withSearchPath } from './search-path.ts';

/** What of knex's connection settings `pg` knows; knex's own keys (expirationChecker …) stay behind. */
const PG_KEYS = ['connectionString', 'host', 'port', 'user', 'password', 'database', 'ssl', 'options'] as const;

/**
 * The connection settings behind a consumer's knex. Nothing else of that knex is used: its result processing, type parsers and pool
 * belong to the application; its `searchPath` does count, because the migrations' tables are named by it.
 *
 * @param directUrl `REEMBED_DIRECT_URL`, which replaces the connection
 *
 * @throws ConfigError `not_postgres`, or `in_transaction` when the migration runs inside one
 */
export async function connectionOfKnex(
  knex: Knex,
  factory: string,
  directUrl?: string,
): Promise<Omit<ConnectionSettings, 'embedded'>> {
  if (knex.isTransaction === true) {
    throw new ConfigError(
      'in_transaction',
      `${factory} was asked to run inside a transaction, where its locks would last to the end of the batch.`,
      {
        hint: 'Export "config" beside "up" and "down" from the migration file: export const { up, down, config } = …',
      },
    );
  }
  const client = knex.client as { config?: { client?: unknown; connection?: unknown; searchPath?: unknown } };
  const dialect = String(client.config?.client ?? '');
  if (!['pg', 'postgres', 'postgresql', 'pgnative'].includes(dialect)) {
    throw new ConfigError('not_postgres', `${factory} needs knex's client "pg", this knexfile has "${dialect}".`, {
      hint: 'Set client: "pg" in the knexfile.',
    });
  }
  const settings = pgSettings(directUrl ?? (await resolveConnection(client.config?.connection)));
  return withSearchPath(settings, client.config?.searchPath as string | readonly string[] | undefined);
}

/** The lock of the ledger that the knexfile names, quoted. */
export function knexLockOf(knex: Knex): string {
  const { migrations } = (knex.client as { config?: { migrations?: Knex.MigratorConfig } }).config ?? {};
  return knexLockSql(migrations?.tableName, migrations?.schemaName);
}

async function resolveConnection(connection: unknown): Promise<unknown> {
  return typeof connection === 'function' ? await (connection as () => unknown)() : connection;
}

function pgSettings(connection: unknown): Omit<ConnectionSettings, 'embedded'> {
  if (typeof connection === 'string') return { connectionString: connection };
  if (connection === null || typeof connection !== 'object') {
    throw new ConfigError('no_connection', 'The knexfile has no connection.', {
      hint: 'Set DATABASE_URL to "embedded" or to a Postgres URL (postgres://user@host:5432/database).',
    });
  }
  const source = connection as Record<string, unknown>;
  return Object.fromEntries(PG_KEYS.filter((key) => source[key] !== undefined).map((key) => [key, source[key]]));
}
