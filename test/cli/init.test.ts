import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashProvider } from '../../src/providers/hash.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';
import { type CliOptions, type CliRun, cliEnvironment, ROOT, runCli as runBinary, SOURCE_BINARY } from './run-cli.ts';

/** The package of this project is the sources, which only their own binary loads. */
function runCli(args: readonly string[], options: CliOptions): Promise<CliRun> {
  return runBinary(args, { ...options, binary: SOURCE_BINARY });
}

const OLD = 16;
const oldModel = `hash/${OLD}`;
let chain: Chain;
let project: string;

beforeAll(async () => {
  chain = await openChain();
  await makeSegments(chain.db, { rows: 80, dimensions: OLD });
  project = await mkdtemp(join(tmpdir(), 'reembed-init-'));
  const installed = join(project, 'node_modules/reembed');
  await mkdir(installed, { recursive: true });
  await symlink(join(ROOT, 'src'), join(installed, 'src'));
  for (const name of ['knex', 'pg'])
    await symlink(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
  const exported = { '.': './src/index.ts', './migrations': './src/migrations/index.ts' };
  await writeFile(
    join(installed, 'package.json'),
    JSON.stringify({ name: 'reembed', type: 'module', exports: exported }),
  );
  await writeFile(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
  await writeFile(
    join(project, 'knexfile.js'),
    `export default { client: 'pg', connection: process.env.DATABASE_URL, migrations: { directory: './migrations' } };`,
  );
});
afterAll(async () => {
  await chain.close();
  await rm(project, { recursive: true });
});

async function init(...args: readonly string[]) {
  const run = await runCli(['init', '--json', ...args], { cwd: project, env: { DATABASE_URL: chain.database.url } });
  expect(run, run.stderr + run.stdout).toMatchObject({ code: 0 });
  return JSON.parse(run.stdout) as { id: string; files: string[]; next: string[] };
}

async function migrateLatest(): Promise<void> {
  const loader = pathToFileURL(join(ROOT, 'node_modules/tsx/dist/loader.mjs')).href;
  await new Promise<void>((resolve, reject) => {
    execFile(
      process.execPath,
      ['--import', loader, join(ROOT, 'node_modules/knex/bin/cli.js'), 'migrate:latest'],
      { cwd: project, env: cliEnvironment({ DATABASE_URL: chain.database.url, REEMBED_GATE: 'off' }) },
      (error, stdout, stderr) => (error === null ? resolve() : reject(new Error(`${stdout}${stderr}`))),
    );
  });
}

test('init, migrate, finalize, init --reverse, migrate: the old model’s vectors are there again', async () => {
  const forward = await init('--column', 'embedding', '--model', 'hash/384', '--from', oldModel);
  expect(forward.id).toBe('segments-384');
  await migrateLatest();
  expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  const ctx = chain.context({ id: forward.id }, { backup: 'none' });
  expect(await finalize(ctx, { now: true })).toMatchObject({ changed: true });
  await chain.db.query(`INSERT INTO segments (text) VALUES ('written since')`);

  const reverse = await init('--reverse');
  expect(reverse).toMatchObject({
    id: 'segments-384-back',
    next: [
      'npx reembed doctor --config reembed.segments-384-back.config.js',
      'npx reembed plan --config reembed.segments-384-back.config.js',
      'npx knex migrate:latest',
    ],
  });
  expect(await readdir(join(project, 'migrations'))).toHaveLength(6);
  await migrateLatest();
  expect(await wrongVectors(chain.db, SEGMENTS, 'embedding', { provider: hashProvider(oldModel) })).toEqual([]);
  const { rows } = await chain.db.query(
    `SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 'segments'::regclass AND attname = 'embedding'`,
  );
  expect(rows).toEqual([{ type: `vector(${OLD})` }]);
});
