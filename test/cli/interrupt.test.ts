import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { startEmbedded } from '../../src/db/embedded.ts';
import { createDataDirectory } from '../helpers/test-database.ts';
import { BINARY, cliEnvironment, FAST_START, runCli } from './run-cli.ts';

const ROWS = 6_000;

let directory: string;
let env: Record<string, string>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reembed-interrupt-'));
  env = {
    DATABASE_URL: 'embedded',
    REEMBED_DATA_DIR: join(directory, 'data'),
    REEMBED_BATCH_ROWS: '20',
    REEMBED_CONCURRENCY: '1',
    EMBEDDING_MODEL: 'hash/384',
  };
  const dataDir = join(directory, 'data');
  await createDataDirectory(dataDir);
  const server = await startEmbedded({ dataDir });
  const db = openDatabase(server.settings);
  await db.query('CREATE TABLE segments (id bigserial PRIMARY KEY, text text, embedding vector(16))');
  await db.query(`INSERT INTO segments (text) SELECT 'passage ' || i FROM generate_series(1, ${ROWS}) i`);
  await db.close();
  await server.stop();
  expect((await runCli(['up', '--to', '005'], { env })).code).toBe(0);
});
afterAll(() => rm(directory, { recursive: true }));

/** Sends a signal as soon as rows are being written. */
function interrupt(args: readonly string[], signal: NodeJS.Signals): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [...FAST_START, BINARY, ...args], {
    cwd: inject('cliProject'),
    env: cliEnvironment(env),
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    const before = stderr;
    stderr += chunk.toString();
    if (!before.includes(' rows,') && stderr.includes(' rows,')) child.kill(signal);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stderr }));
  });
}

async function rowsDone(): Promise<number> {
  const { stdout } = await runCli(['status', '--json'], { env });
  return (JSON.parse(stdout) as { rows: { done: number } }).rows.done;
}

describe('a signal stops at a safe place', () => {
  test.each([
    ['backfill', 'SIGINT'],
    ['up', 'SIGTERM'],
  ] as const)('reembed %s: %s exits with 130 and says how to go on', async (verb, signal) => {
    const { code, stderr } = await interrupt([verb], signal);
    expect(code, stderr).toBe(130);
    expect(stderr).toContain('Run the same command again');
    const done = await rowsDone();
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(ROWS);
  });

  test('the same command resumes, without migrate:unlock', async () => {
    const { code, stderr } = await runCli(['up', '--to', '006'], { env: { ...env, REEMBED_BATCH_ROWS: '1000' } });
    expect(code, stderr).toBe(0);
    expect(await rowsDone()).toBe(ROWS);
  });

  test('REEMBED_TIME_LIMIT stops in the same way', async () => {
    expect((await runCli(['down'], { env })).code).toBe(0);
    const { code, stderr } = await runCli(['backfill'], { env: { ...env, REEMBED_TIME_LIMIT: '1ms' } });
    expect(code, stderr).toBe(130);
    expect(stderr).toContain('as REEMBED_TIME_LIMIT asks');
  });
});
