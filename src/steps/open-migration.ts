import { connectionLimits, isEmbedded, serverSettings } from '../config/database-settings.ts';
import type { MigrationDefinition, RuntimeSettings } from '../config/types.ts';
import { connectDatabase } from '../db/connect.ts';
import { openDatabase } from '../db/database.ts';
import { startEmbedded } from '../db/embedded.ts';
import type { Database } from '../db/types.ts';
import type { OnProgress } from '../progress.ts';
import type { MigrationContext } from '../state/context.ts';

export interface OpenMigrationOptions {
  readonly definition: MigrationDefinition;
  readonly runtime: RuntimeSettings;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress;
}

export interface OpenedMigration {
  readonly ctx: MigrationContext;
  /** Closes the connections, and the embedded database where this call started it. */
  close(): Promise<void>;
}

/**
 * Connects to the database of `runtime` (or starts the embedded one) and makes the context that every step takes.
 *
 * @throws ConfigError without a database URL, DatabaseError when it cannot be reached, BusyError when another process uses the embedded one
 */
export async function openMigration(options: OpenMigrationOptions): Promise<OpenedMigration> {
  const { definition, runtime, signal, onProgress = () => undefined } = options;
  const { db, close } = await openConfigured(runtime);
  return { ctx: { db, definition, runtime, signal, onProgress }, close };
}

/** The database alone, for what begins before there is a migration. @throws as `openMigration` */
export async function openConfigured(runtime: RuntimeSettings): Promise<{ db: Database; close(): Promise<void> }> {
  const { db, stop } = isEmbedded(runtime) ? await openEmbedded(runtime) : await openServer(runtime);
  return {
    db,
    async close() {
      await db.close();
      await stop();
    },
  };
}

async function openEmbedded(runtime: RuntimeSettings) {
  const server = await startEmbedded({ dataDir: runtime.dataDir });
  return { db: openDatabase(server.settings), stop: () => server.stop() };
}

async function openServer(runtime: RuntimeSettings) {
  return {
    db: await connectDatabase(serverSettings(runtime), connectionLimits(runtime)),
    stop: async () => undefined,
  };
}
