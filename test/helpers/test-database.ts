import { randomBytes } from 'node:crypto';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import pg from 'pg';
import { inject } from 'vitest';
import type { ConnectionSettings } from '../../src/db/types.ts';
import { serveEmbedded } from './embedded-pool.ts';

/** A database with pgvector that belongs to one test file; the connection is a superuser's. */
export interface TestDatabase {
  /** For `DATABASE_URL` of a spawned process, as long as this process does not block. */
  readonly url: string;
  readonly settings: ConnectionSettings;
  /** Concurrency, timeouts, COPY and roles do not behave there as on a server. */
  readonly embedded: boolean;
  drop(): Promise<void>;
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

export async function createTemplate(url: string, name: string): Promise<void> {
  await withClient(url, (client) => client.query(`CREATE DATABASE "${name}"`));
  await withClient(withDatabase(url, name), (client) => client.query('CREATE EXTENSION vector'));
}

export async function dropTemplate(url: string, name: string): Promise<void> {
  await withClient(url, (client) => client.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`));
}

async function createOnServer(url: string, template: string): Promise<TestDatabase> {
  const name = `reembed_test_${randomBytes(6).toString('hex')}`;
  await withClient(url, (client) => client.query(`CREATE DATABASE "${name}" TEMPLATE "${template}"`));
  const own = withDatabase(url, name);
  return {
    url: own,
    settings: { connectionString: own, embedded: false },
    embedded: false,
    drop: () => dropTemplate(url, name),
  };
}

/** In the template's directory: a cluster as PGlite's `dumpDataDir` gives it. */
const TAR = 'cluster.tar';
/** In the template's directory: the same cluster as `startEmbedded` has it in its data directory. */
const DATA_DIRECTORY = 'data';

/** The embedded counterpart of `createTemplate`: a cluster with pgvector, to be had in memory and on disk. */
export async function createEmbeddedTemplate(directory: string): Promise<void> {
  const cluster = join(directory, DATA_DIRECTORY, 'postgres');
  await mkdir(dirname(cluster));
  const db = await PGlite.create({ dataDir: cluster, extensions: { vector } });
  await db.exec('CREATE EXTENSION vector');
  const dump = await db.dumpDataDir('none');
  await writeFile(join(directory, TAR), Buffer.from(await dump.arrayBuffer()));
  await db.close();
}

/**
 * Makes a data directory with an empty database, for `startEmbedded` in this process or another, which would take five
 * seconds of CPU to make it. Where the tests run on a server that is left to it.
 */
export async function createDataDirectory(dataDir: string): Promise<void> {
  if (inject('postgresUrl') !== null) return;
  await cp(join(inject('postgresTemplate'), DATA_DIRECTORY), dataDir, { recursive: true });
}

async function createEmbedded(template: string): Promise<TestDatabase> {
  const server = await serveEmbedded(join(template, TAR));
  const { host = '', port = 5432 } = server.settings;
  return {
    url: `postgresql://postgres@${encodeURIComponent(host)}:${port}/postgres`,
    settings: server.settings,
    embedded: true,
    drop: () => server.stop(),
  };
}

/**
 * An empty database for one test file: a clone of the template, on the server or in memory. Call
 * `drop` in `afterAll`, after closing what is connected to it.
 */
export function createTestDatabase(): Promise<TestDatabase> {
  const url = inject('postgresUrl');
  return url === null ? createEmbedded(inject('postgresTemplate')) : createOnServer(url, inject('postgresTemplate'));
}
