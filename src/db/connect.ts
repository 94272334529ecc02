import { type OpenOptions, openDatabase } from './database.ts';
import type { ConnectionSettings, Database } from './types.ts';

/**
 * Opens the database and finds out whether it is the embedded one, whoever started it: its limits decide what may be done.
 *
 * @throws DatabaseError `connection_failed`
 */
export async function connectDatabase(
  settings: Omit<ConnectionSettings, 'embedded'>,
  options: OpenOptions = {},
): Promise<Database> {
  const probe = openDatabase({ ...settings, embedded: false }, { maxConnections: 1 });
  try {
    const { rows } = await probe.query<{ version: string }>('SELECT pg_catalog.version() AS version');
    const embedded = /emscripten|emcc|wasm/i.test(rows[0]?.version ?? '');
    return openDatabase({ ...settings, embedded }, options);
  } finally {
    await probe.close();
  }
}
