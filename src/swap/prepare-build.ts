import { statfs } from 'node:fs/promises';
import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Queryable, Session } from '../db/types.ts';
import { messageOf } from '../errors.ts';
import { whyNotLocal } from '../inspect/doctor/local-server.ts';
import { type BuildResources, type BuildServer, chooseBuildResources } from '../sql/build-resources.ts';
import type { MigrationContext } from '../state/context.ts';

const SHARED_MEMORY = '/dev/shm';

/** What a session that builds or drops CONCURRENTLY had set, back to the server's: the embedded database has one session for everybody. */
export const RESET_BUILD_SESSION =
  'RESET statement_timeout; RESET lock_timeout; RESET maintenance_work_mem; RESET max_parallel_maintenance_workers';

/** A lock timeout would leave an INVALID index behind; waiting CONCURRENTLY makes nobody else wait. */
export async function withoutTimeouts(session: Session): Promise<void> {
  await session.query('SET statement_timeout = 0');
  await session.query('SET lock_timeout = 0');
}

/**
 * Gives a session the memory and the workers for one build.
 *
 * @param serial builds without workers whatever the server has
 */
export async function giveResources(
  ctx: MigrationContext,
  session: Session,
  build: { readonly method: string; readonly needBytes: number | undefined },
  serial: boolean,
): Promise<void> {
  const limits = ctx.runtime.build;
  const server = await readBuildServer(ctx, session);
  // The embedded database builds alone, in the memory of this process.
  const need = ctx.db.embedded && build.method === 'hnsw' ? undefined : build.needBytes;
  const chosen = chooseBuildResources(build.method, need, server, serial ? { ...limits, workers: 0 } : limits);
  await setResources(session, chosen);
}

async function setResources(session: Session, { memoryBytes, workers }: BuildResources): Promise<void> {
  if (memoryBytes !== undefined) {
    await session.query(`SELECT pg_catalog.set_config('maintenance_work_mem', $1 || 'kB', false)`, [
      String(Math.ceil(memoryBytes / 1024)),
    ]);
  }
  if (workers !== undefined) {
    await session.query(`SELECT pg_catalog.set_config('max_parallel_maintenance_workers', $1, false)`, [
      String(workers),
    ]);
  }
}

async function readBuildServer(ctx: MigrationContext, session: Queryable): Promise<BuildServer> {
  const { rows } = await session.query<Omit<BuildServer, 'sharedBytes'> & { kind: string }>(
    `SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem'))::float8 AS "maintenanceBytes",
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('effective_cache_size'))::float8 AS "cacheBytes",
       pg_catalog.current_setting('max_parallel_maintenance_workers')::int AS workers,
       pg_catalog.current_setting('dynamic_shared_memory_type') AS kind`,
  );
  const row = rows[0];
  if (row === undefined) throw new Error('the server did not tell its settings');
  const shared = row.kind === 'posix' && !ctx.db.embedded && (await whyNotLocal(session)) === undefined;
  return { ...row, sharedBytes: shared ? await freeBytes(SHARED_MEMORY) : undefined };
}

async function freeBytes(path: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** A server elsewhere has too little shared memory for its workers, 64 MB in a container unless said: it shows when they start. */
export function lacksSharedMemory(error: unknown): boolean {
  return sqlStateOf(error) === SQLSTATE.diskFull && /shared memory/i.test(messageOf(error));
}
