import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { startEmbedded } from '../../src/db/embedded.ts';
import { createDataDirectory } from '../helpers/test-database.ts';
import { type CliRun, cliEnvironment, ROOT } from './run-cli.ts';

/** A command that has not ended by then is one that never does. */
const PATIENCE_MS = 60_000;

let directory: string;
let dataDir: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reembed-npx-'));
  dataDir = join(directory, 'data');
  await createDataDirectory(dataDir);
  const embedded = await startEmbedded({ dataDir });
  const db = openDatabase(embedded.settings);
  await db.query('CREATE TABLE segments (id bigserial PRIMARY KEY, text text, embedding vector(16))');
  await db.close();
  await embedded.stop();
});
afterAll(() => rm(directory, { recursive: true }));

/** As a terminal has it: NODE_OPTIONS is not set, nor anything that an `npx vitest` around this test has set. */
function terminalEnvironment(): NodeJS.ProcessEnv {
  const plain = Object.entries(cliEnvironment()).filter(([name]) => !/^(npm_|VITEST|INIT_CWD$)/i.test(name));
  return {
    ...Object.fromEntries(plain),
    DATABASE_URL: 'embedded',
    REEMBED_DATA_DIR: dataDir,
    REEMBED_BACKUP: join(directory, 'backups'),
    EMBEDDING_MODEL: 'hash/384',
  };
}

/** Runs `npx …` in the repository's root to its own end. */
function npx(...args: string[]): Promise<CliRun> {
  const env = terminalEnvironment();
  // A group of its own: npx starts the command through others, which a signal to npx alone would leave running.
  const child = spawn('npx', args, { cwd: ROOT, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, PATIENCE_MS);
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}

/** What a command that ends well by itself prints on stdout. */
async function printed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await npx(...args);
  expect(code, `npx ${args.join(' ')}\n${stdout}${stderr}`).toBe(0);
  return stdout;
}

describe('npx in a clone, with no NODE_OPTIONS and no model', () => {
  test('migrate:list finds three migrations, none of them run', async () => {
    const list = await printed('knex', 'migrate:list');
    expect(list).toContain('No Completed Migration files Found.');
    expect(list).toContain('Found 3 Pending Migration file/files.');
    for (const file of ['005_add_embedding_384.ts', '006_backfill_embedding_384.ts', '007_swap_embedding.ts']) {
      expect(list).toContain(file);
    }
  });

  test('migrate:up runs one after the other', async () => {
    expect(await printed('knex', 'migrate:up')).toMatch(/Batch 1 ran the following migrations:\s+005_add_embedding/);
    expect(await printed('knex', 'migrate:up')).toMatch(/Batch 2 ran the following migrations:\s+006_backfill/);
    expect(await printed('knex', 'migrate:up')).toMatch(/Batch 3 ran the following migrations:\s+007_swap/);
    expect(await printed('knex', 'migrate:up')).toContain('Already up to date');
    expect(await printed('knex', 'migrate:currentVersion')).toContain('Current Version: 007');
  });

  test('migrate:rollback takes the last one back', async () => {
    expect(await printed('knex', 'migrate:rollback')).toContain('Batch 3 rolled back: 1 migrations');
    expect(JSON.parse(await printed('reembed', 'status', '--json'))).toMatchObject({
      phase: 'backfilled',
      active: 'old',
    });
  });
});
