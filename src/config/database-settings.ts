import { ConfigError } from '../errors.ts';
import { requireDatabaseUrl } from './runtime.ts';
import type { RuntimeSettings } from './types.ts';

/** Whether `DATABASE_URL=embedded`: the caller then starts the embedded Postgres in `runtime.dataDir`. */
export function isEmbedded(runtime: Pick<RuntimeSettings, 'databaseUrl'>): boolean {
  return requireDatabaseUrl(runtime) === 'embedded';
}

/**
 * How to reach the configured Postgres server. `REEMBED_DIRECT_URL` wins: through a transaction-mode pooler sessions are
 * shared, and leases, CREATE INDEX CONCURRENTLY and settings need one of their own.
 *
 * @throws ConfigError when no URL is set, or when the database is the embedded one, which has to be started instead
 */
export function serverSettings(runtime: Pick<RuntimeSettings, 'databaseUrl' | 'directUrl'>): {
  readonly connectionString: string;
  readonly embedded: false;
} {
  if (isEmbedded(runtime)) {
    throw new ConfigError('database_embedded', 'DATABASE_URL is embedded; it names no server to connect to.', {
      step: 'configuration',
      hint: 'Set DATABASE_URL to the URL of a Postgres server.',
    });
  }
  return { connectionString: runtime.directUrl ?? requireDatabaseUrl(runtime), embedded: false };
}

/** Beside the writers: a window that is read, a checkpoint, a look at the database's health, what a service's ledger notes. */
const OTHER_CONNECTIONS = 4;

/** How many connections the work needs at once, and what each statement may take: one that waits for a connection is refused after a while. */
export function connectionLimits({ writers, readTimeoutMs }: Pick<RuntimeSettings, 'writers' | 'readTimeoutMs'>): {
  readonly maxConnections: number;
  readonly statementTimeoutMs: number;
} {
  return { maxConnections: writers + OTHER_CONNECTIONS, statementTimeoutMs: readTimeoutMs };
}
