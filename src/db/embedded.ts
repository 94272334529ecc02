import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { DatabaseError, messageOf, ReembedError } from '../errors.ts';
import { type DirectoryLock, lockDirectory } from './embedded-lock.ts';
import { createSocketPlace, removeSocketDirectory, type SocketPlace, startSocketServer } from './embedded-socket.ts';
import { withUnrefTimers } from './embedded-timers.ts';
import { createTurns } from './embedded-turns.ts';
import type { EmbeddedServer } from './types.ts';

export interface EmbeddedOptions {
  /** Made when it is not there; in memory when undefined. */
  readonly dataDir?: string;
  /** Whether pgvector is created in the database (true). */
  readonly extension?: boolean;
  /** A cluster as PGlite's `dumpDataDir` gives it, to begin with in memory: a copy is there in a quarter of the time of a new one. */
  readonly template?: Blob;
}

/** A new cluster with its first write-ahead log, or the log that a recovery writes. */
const NEEDED_MIB = 96;
/** What PGlite calls PGDATA, inside the data directory beside the lock. */
const CLUSTER = 'postgres';
/** Exists while the cluster is being made: an interrupted one is not a database. */
const UNFINISHED = 'initialising';

type Create = (place: { readonly dataDir?: string; readonly loadDataDir?: Blob }) => Promise<PGlite>;

async function loadPglite(): Promise<Create> {
  try {
    const [{ PGlite }, { vector }] = await Promise.all([
      import('@electric-sql/pglite'),
      import('@electric-sql/pglite-pgvector'),
    ]);
    return (place) => PGlite.create({ ...place, extensions: { vector } });
  } catch (cause) {
    throw new DatabaseError('embedded_missing', `The embedded Postgres cannot be loaded: ${messageOf(cause)}`, {
      hint: 'Run "npm install @electric-sql/pglite @electric-sql/pglite-pgvector", or set DATABASE_URL to a Postgres URL.',
      cause,
    });
  }
}

function cannotStart(dataDir: string, cause: unknown): DatabaseError {
  return new DatabaseError(
    'embedded_start',
    `The embedded Postgres does not start on ${dataDir}: ${messageOf(cause)}.`,
    {
      hint: 'Set REEMBED_DATA_DIR to another directory that can be written, or restore this one from a copy.',
      cause,
    },
  );
}

/** Postgres stops for good when it cannot extend its write-ahead log, and needs the room to start again. */
function checkFreeSpace(dataDir: string): void {
  const { bavail, bsize } = statfsSync(dataDir);
  const free = Math.floor((bavail * bsize) / 1024 ** 2);
  if (free >= NEEDED_MIB) return;
  throw new DatabaseError(
    'embedded_disk_full',
    `${dataDir} has ${free} MiB of free disk space, the embedded Postgres needs ${NEEDED_MIB} MiB to start.`,
    { hint: 'Free space there (the rows are kept), or set REEMBED_DATA_DIR to a directory on another disk.' },
  );
}

/** Makes the directory ours, or refuses one with somebody else's files. */
function prepareDirectory(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const foreign = readdirSync(dataDir).filter(
    (name) => name !== CLUSTER && name !== UNFINISHED && !name.startsWith('reembed.lock'),
  );
  if (foreign.length === 0) return;
  throw new DatabaseError(
    'embedded_directory',
    `${dataDir} holds ${foreign.slice(0, 3).join(', ')}, which is not an embedded database.`,
    { hint: 'Set REEMBED_DATA_DIR to a new or empty directory.' },
  );
}

async function openCluster(dataDir: string, create: Create): Promise<PGlite> {
  const cluster = join(dataDir, CLUSTER);
  const unfinished = join(dataDir, UNFINISHED);
  if (existsSync(unfinished)) rmSync(cluster, { recursive: true, force: true });
  const isNew = !existsSync(cluster);
  if (isNew) writeFileSync(unfinished, '');
  const db = await create({ dataDir: cluster });
  if (isNew) rmSync(unfinished);
  return db;
}

interface Running extends EmbeddedServer {
  users: number;
}

interface Registry {
  readonly running: Map<string, Promise<Running>>;
  readonly stopping: Map<string, Promise<void>>;
}

/** Across copies of this module (ESM and CommonJS, knexfile and command), one server a directory in a process. */
function registry(): Registry {
  const key = Symbol.for('reembed.embedded');
  const holder = globalThis as { [key]?: Registry };
  holder[key] ??= { running: new Map(), stopping: new Map() };
  return holder[key];
}

interface Start {
  readonly dataDir: string | undefined;
  readonly extension: boolean;
  readonly template: Blob | undefined;
  readonly place: SocketPlace;
  readonly lock: DirectoryLock | undefined;
}

async function openDatabase({ dataDir, extension, template }: Start): Promise<PGlite> {
  const create = await loadPglite();
  try {
    return await withUnrefTimers(async () => {
      const inMemory = template === undefined ? {} : { loadDataDir: template };
      const db = await (dataDir === undefined ? create(inMemory) : openCluster(dataDir, create));
      if (extension) await db.exec('CREATE EXTENSION IF NOT EXISTS vector');
      return db;
    });
  } catch (error) {
    throw cannotStart(dataDir ?? 'memory', error);
  }
}

async function serveDatabase(start: Start): Promise<Running> {
  const db = await openDatabase(start);
  const turns = createTurns(db);
  const server = await startSocketServer(turns, start.place);
  const release = (): void => {
    start.place.remove();
    start.lock?.release();
  };
  // Without a stop(), a process that has nothing left to do still writes its checkpoint and leaves no files behind.
  const stopAtEnd = (): void => void stop();
  let stopped: Promise<void> | undefined;
  async function stopOnce(): Promise<void> {
    process.off('beforeExit', stopAtEnd);
    await server.close();
    // After a PANIC there is nothing left to shut down, and close() would never return.
    if (!db.closed && turns.failure() === undefined) await db.close();
    release();
    process.off('exit', release);
  }
  const stop = (): Promise<void> => {
    stopped ??= stopOnce();
    return stopped;
  };
  process.once('beforeExit', stopAtEnd);
  process.once('exit', release);
  return { settings: server.settings, dataDir: start.dataDir ?? 'memory', users: 0, stop };
}

async function startServer(options: EmbeddedOptions, dataDir: string | undefined): Promise<Running> {
  const place = createSocketPlace();
  let lock: DirectoryLock | undefined;
  try {
    if (dataDir !== undefined) {
      lock = await lockDirectory(dataDir, place.directory);
      if (lock.replaced?.socketDirectory) removeSocketDirectory(lock.replaced.socketDirectory);
    }
    const { extension = true, template } = options;
    return await serveDatabase({ dataDir, extension, template, place, lock });
  } catch (error) {
    place.remove();
    lock?.release();
    throw error instanceof ReembedError ? error : cannotStart(dataDir ?? 'memory', error);
  }
}

async function stopShared(server: Running): Promise<void> {
  const { running, stopping } = registry();
  running.delete(server.dataDir);
  const done = server.stop().finally(() => stopping.delete(server.dataDir));
  stopping.set(server.dataDir, done);
  await done;
}

/** A handle of its own for each caller: the server stops with the last one. */
function share(server: Running): EmbeddedServer {
  server.users += 1;
  let stopped: Promise<void> | undefined;
  return {
    settings: server.settings,
    dataDir: server.dataDir,
    stop() {
      if (stopped === undefined) {
        server.users -= 1;
        stopped = server.users > 0 ? Promise.resolve() : stopShared(server);
      }
      return stopped;
    },
  };
}

/**
 * Starts Postgres with pgvector inside this process and serves it to ordinary clients on a private socket. All of its
 * connections share one session: while one is in a transaction the others wait, advisory locks exclude nobody, and
 * timeouts and cancellation do nothing. The server keeps no process alive; started again on the same directory in the
 * same process, it is shared, and stops with the last `stop()`. A killed process loses no committed row.
 * @throws DatabaseError `embedded_missing` without the two npm packages, `embedded_directory`, `embedded_disk_full`,
 * `embedded_start`
 * @throws BusyError `embedded_busy` while another process has the directory open
 */
export async function startEmbedded(options: EmbeddedOptions = {}): Promise<EmbeddedServer> {
  if (options.dataDir === undefined) {
    const server = await startServer(options, undefined);
    return { settings: server.settings, dataDir: server.dataDir, stop: () => server.stop() };
  }
  let dataDir = resolve(options.dataDir);
  try {
    prepareDirectory(dataDir);
    dataDir = realpathSync(dataDir);
    checkFreeSpace(dataDir);
  } catch (error) {
    throw error instanceof ReembedError ? error : cannotStart(dataDir, error);
  }
  const { running, stopping } = registry();
  await stopping.get(dataDir);
  const started = running.get(dataDir) ?? startServer(options, dataDir);
  running.set(dataDir, started);
  try {
    return share(await started);
  } catch (error) {
    running.delete(dataDir);
    throw error;
  }
}
