import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { createSocketPlace, startSocketServer } from '../../src/db/embedded-socket.ts';
import { withUnrefTimers } from '../../src/db/embedded-timers.ts';
import { createTurns } from '../../src/db/embedded-turns.ts';
import type { ConnectionSettings } from '../../src/db/types.ts';
import { emptyDatabase, type Look, lookAt } from './empty-database.ts';

interface Cluster {
  readonly db: PGlite;
  /** What it looked like before its first user. */
  readonly fresh: Look;
}

/** Clusters whose files are done, of this process: to make one anew costs ten times the CPU of emptying it. */
const idle: Cluster[] = [];

async function clone(template: string): Promise<Cluster> {
  const loadDataDir = new Blob([await readFile(template)]);
  const db = await PGlite.create({ loadDataDir, extensions: { vector } });
  return { db, fresh: await lookAt(db) };
}

/** An idle cluster that nothing tells from a new one; whatever cannot be emptied is thrown away. */
async function takeIdle(): Promise<Cluster | undefined> {
  for (let cluster = idle.pop(); cluster !== undefined; cluster = idle.pop()) {
    if (await emptyDatabase(cluster.db, cluster.fresh)) return cluster;
    await cluster.db.close();
  }
  return undefined;
}

/** A cluster of the caller's own on a socket of its own; after `stop`, the next caller in this process may get it emptied. */
export async function serveEmbedded(
  template: string,
): Promise<{ readonly settings: ConnectionSettings; stop(): Promise<void> }> {
  const cluster = await withUnrefTimers(async () => (await takeIdle()) ?? (await clone(template)));
  const place = createSocketPlace();
  const turns = createTurns(cluster.db);
  const server = await startSocketServer(turns, place);
  process.once('exit', place.remove);
  return {
    settings: server.settings,
    async stop() {
      await server.close();
      place.remove();
      process.off('exit', place.remove);
      // After a PANIC there is nothing left to empty or to shut down.
      if (turns.failure() === undefined) idle.push(cluster);
    },
  };
}
