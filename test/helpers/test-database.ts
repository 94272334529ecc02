import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import pg from 'pg';
import { inject } from 'vitest';
import { startEmbedded } from '../../src/db/embedded.ts';
import type { ConnectionSettings } from '../../src/db/types.ts';

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

/** The embedded counterpart of `createTemplate`: a cluster with pgvector, as a file. */
export async function createEmbeddedTemplate(path: string): Promise<void> {
  const db = await PGlite.create({ extensions: { vector } });
  await db.exec('CREATE EXTENSION vector');
  const dump = await db.dumpDataDir('none');
  await writeFile(path, Buffer.from(await dump.arrayBuffer()));
  await db.close();
}

async function createEmbedded(template: string): Promise<TestDatabase> {
  const server = await startEmbedded({ template: new Blob([await readFile(template)]) });
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
