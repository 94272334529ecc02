import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEmbedded } from '../../src/db/embedded.ts';
import type { EmbeddedServer } from '../../src/db/types.ts';
import { createConsumer, packTarball, runThere } from './consumer.ts';

const ROWS = 40;
let tarball: string;
let server: EmbeddedServer | undefined;
let client: pg.Client;
let url: string;

beforeAll(async () => {
  tarball = packTarball();
});
afterAll(async () => {
  await server?.stop();
  rmSync(dirname(tarball), { recursive: true, force: true });
});

/** One server for all projects, without anything of the one before. */
async function freshDatabase(): Promise<void> {
  server ??= await startEmbedded();
  const { host = '', port = 5432 } = server.settings;
  url = `postgresql://postgres@${encodeURIComponent(host)}:${port}/postgres`;
  client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('DROP TABLE IF EXISTS articles, knex_migrations, knex_migrations_lock');
  await client.query('DROP SCHEMA IF EXISTS reembed CASCADE');
}

async function typeOfEmbedding(): Promise<unknown> {
  const { rows } = await client.query(
    `SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = 'articles'::regclass AND attname = 'embedding'`,
  );
  return rows[0]?.type;
}

/** The whole chain through the consumer's own knex: old vectors in, new ones out, and back again. */
async function walkChain(directory: string, names: readonly string[]): Promise<void> {
  const knex = async (...args: string[]): Promise<void> => {
    const ended = await runThere(directory, 'npx', ['knex', ...args], { DATABASE_URL: url });
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0 });
  };
  await knex('migrate:up', names[0] ?? '');
  await client.query(
    `INSERT INTO articles (body, embedding) SELECT 'article ' || n || ' about subject ' || md5(n::text),
       (SELECT array_agg(sin(n * d)) FROM generate_series(1, 768) d)::vector FROM generate_series(1, ${ROWS}) n`,
  );
  await knex('migrate:latest');
  expect(await typeOfEmbedding()).toBe('vector(384)');
  const { rows } = await client.query('SELECT count(DISTINCT embedding)::int AS vectors FROM articles');
  expect(rows).toEqual([{ vectors: ROWS }]);
  for (const name of names.slice(1).reverse()) await knex('migrate:down', name);
  expect(await typeOfEmbedding()).toBe('vector(768)');
}

describe('an ESM project with the installed tarball', () => {
  let directory: string;
  beforeAll(async () => {
    directory = createConsumer(tarball, {}, 'examples/knex-project');
    await freshDatabase();
  });
  afterAll(async () => {
    await client.end();
    rmSync(directory, { recursive: true, force: true });
  });

  test('imports both entries', async () => {
    const code = `import { defineMigration, ReembedError } from 'reembed'; import * as m from 'reembed/migrations';
      console.log(typeof defineMigration, typeof ReembedError, Object.keys(m).sort().join());`;
    const { stdout, stderr } = await runThere(directory, 'node', ['--input-type=module', '-e', code]);
    expect(stdout + stderr).toBe(
      'function function addEmbedding,backfillEmbedding,dropOldEmbedding,releaseStaleLock,swapEmbedding\n',
    );
  });

  test('the example’s migrations embed its table with the bundled model, and go back', async () => {
    await walkChain(directory, [
      '001_create_articles.js',
      '002_add_embedding.js',
      '003_backfill_embedding.js',
      '004_swap_embedding.js',
    ]);
  });

  test('npx reembed tells its version and lists its commands', async () => {
    const version = await runThere(directory, 'npx', ['reembed', '--version']);
    expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    const help = await runThere(directory, 'npx', ['reembed', '--help']);
    expect(help.stdout).toContain('backfill');
    // Its passages are not in the package.
    expect(help.stdout).not.toContain('reembed demo');
  });
});

const CJS_FILES = {
  'package.json': '{ "name": "cjs-consumer", "private": true }\n',
  'knexfile.js': `module.exports = { client: 'pg', connection: process.env.DATABASE_URL, migrations: { directory: './migrations' } };\n`,
  'reembed.config.js': `const { defineMigration } = require('reembed');
module.exports = defineMigration({ id: 'articles-hash', table: 'articles', text: 'body', column: 'embedding',
  model: 'hash/384', dimensions: 384 });\n`,
  'migrations/001_create.js': `exports.up = async (knex) => {
  await knex.raw('CREATE TABLE articles (id bigserial PRIMARY KEY, body text NOT NULL, embedding vector(768))');
};
exports.down = (knex) => knex.raw('DROP TABLE articles');\n`,
  ...Object.fromEntries(
    ['addEmbedding', 'backfillEmbedding', 'swapEmbedding'].map((factory, i) => [
      `migrations/00${i + 2}_${factory}.js`,
      `module.exports = require('reembed/migrations').${factory}(require('../reembed.config.js'));\n`,
    ]),
  ),
  'types.cts': `import { defineMigration, ReembedError, type MigrationDefinition } from 'reembed';
import { addEmbedding } from 'reembed/migrations';
const definition: MigrationDefinition = defineMigration({ id: 'a', table: 'articles', text: 'body', column: 'embedding',
  model: 'hash/384', dimensions: 384 });
export const { up, down, config } = addEmbedding(definition);
export const isOurs = (error: unknown): boolean => error instanceof ReembedError;\n`,
  'types.mts': `export { up, down, config } from './types.cjs';
import { backfillEmbedding, type KnexMigration } from 'reembed/migrations';
export const make: (...args: Parameters<typeof backfillEmbedding>) => KnexMigration = backfillEmbedding;\n`,
};

describe('a CommonJS project with the installed tarball', () => {
  let directory: string;
  beforeAll(async () => {
    directory = createConsumer(tarball, CJS_FILES);
    await freshDatabase();
  });
  afterAll(async () => {
    await client.end();
    rmSync(directory, { recursive: true, force: true });
  });

  test('an error of one entry is an instance of the other entry’s class', async () => {
    const code = `const { ReembedError } = require('reembed'); const { addEmbedding } = require('reembed/migrations');
      addEmbedding(require('./reembed.config.js')).up({ isTransaction: true })
        .catch((error) => console.log(error instanceof ReembedError, error.code));`;
    const { stdout, stderr } = await runThere(directory, 'node', ['-e', code]);
    expect(stdout + stderr).toBe('true in_transaction\n');
  });

  test('its migrations run through and back', async () => {
    await walkChain(directory, [
      '001_create.js',
      '002_addEmbedding.js',
      '003_backfillEmbedding.js',
      '004_swapEmbedding.js',
    ]);
  });

  test('TypeScript finds the types from both module systems', async () => {
    const modules = join(import.meta.dirname, '../../node_modules');
    mkdirSync(join(directory, 'node_modules/@types'), { recursive: true });
    symlinkSync(join(modules, '@types/node'), join(directory, 'node_modules/@types/node'));
    const tsc = join(modules, 'typescript/bin/tsc');
    const flags = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--noEmit', '--types', 'node'];
    const ended = await runThere(directory, 'node', [tsc, ...flags, 'types.cts', 'types.mts']);
    expect(ended).toMatchObject({ code: 0, stdout: '' });
  });
});
