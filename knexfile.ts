import type { Knex } from 'knex';
import { isEmbedded, serverSettings } from './src/config/database-settings.ts';
import { loadEnvironment } from './src/config/load-environment.ts';
import { loadRuntimeSettings } from './src/config/runtime.ts';
import { startEmbedded } from './src/db/embedded.ts';
import { releaseStaleLock } from './src/migrations/release-stale-lock.ts';

/** A function, because knex looks at its lock before any migration's code runs: what a killed run left is freed here. */
export default async function knexConfig(): Promise<Knex.Config> {
  loadEnvironment();
  const runtime = loadRuntimeSettings();
  const settings = isEmbedded(runtime)
    ? (await startEmbedded({ dataDir: runtime.dataDir })).settings
    : serverSettings(runtime);
  const { embedded: _, ...connection } = settings;
  await releaseStaleLock({
    connection,
    stateSchema: runtime.stateSchema,
    onNotice: (message) => console.error(`reembed: ${message}`),
  });
  return {
    client: 'pg',
    connection: connection as Knex.PgConnectionConfig,
    migrations: { directory: './migrations', extension: 'ts', loadExtensions: ['.ts'] },
  };
}
