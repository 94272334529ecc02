import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BenchResult } from '../../src/bench/types.ts';
import { cliEnvironment, ROOT, runCli } from './run-cli.ts';

const BUNDLED = 'sentence-transformers/all-MiniLM-L6-v2';
let project: string;
let texts: string;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'reembed-bench-'));
  texts = join(project, 'texts.txt');
  env = { REEMBED_CACHE_DIR: join(project, 'cache') };
  await writeFile(texts, ['dead rows stay until a vacuum', 'an index of vectors', 'locks are waited for'].join('\n'));
});
afterAll(() => rm(project, { recursive: true, force: true }));

const short = (): string[] => ['--texts', texts, '--rounds', '1'];

test('without a local model configured, the bundled one is measured, which is said; the last line is the best', async () => {
  const run = await runCli(['bench', ...short()], { cwd: project, env: { ...env, EMBEDDING_MODEL: 'hash/384' } });
  expect(run.stderr).toContain('hash/384 (of EMBEDDING_MODEL');
  expect(run.stderr).toContain(`the bundled ${BUNDLED} is measured`);
  expect(run.code).toBe(0);
  for (const part of [
    '| int8  | cpu    | reembed',
    'tokens a batch',
    'query p50 ms',
    'memory a session',
    '3 of texts.txt',
  ]) {
    expect(run.stdout).toContain(part);
  }
  expect(run.stdout.trim().split('\n').at(-1)).toMatch(
    /^Best: [\d.,]+ texts\/s \([\d,]+ tokens\/s\) with int8 on cpu \(\d+ threads?\), [\d,]+ tokens a batch\.$/,
  );
});

test('--json is one document, its budget the maximum of its table', async () => {
  const { code, stdout } = await runCli(['bench', ...short(), '--json', '--model', BUNDLED], { env });
  expect(code).toBe(0);
  const { model, runs, best, machine } = JSON.parse(stdout) as BenchResult;
  expect(model).toMatchObject({ name: BUNDLED, dimensions: 384 });
  expect(machine).toMatchObject({ node: process.versions.node, onnxruntime: expect.stringMatching(/^\d+\.\d+/) });
  const [run] = runs;
  const rates = run?.budgets.map(({ tokensPerSecond }) => tokensPerSecond) ?? [];
  expect(run?.budgets.find(({ budget }) => budget === run.budget)?.tokensPerSecond).toBe(Math.max(...rates));
  expect(best.budget).toBe(run?.budget);
});

describe('what cannot be measured exits with 2 and names the way on', () => {
  test.each([
    [['--texts', 'nowhere.jsonl'], 'nowhere.jsonl cannot be read', '--texts FILE'],
    [['--model', 'hash/384'], 'hash/384 is no model that runs on this machine', 'reembed bench --model'],
    [['--rounds', '0'], '--rounds is "0", expected a whole number from 1', 'reembed <command> --help'],
    [
      ['--model', BUNDLED, '--dimensions', '768'],
      `${BUNDLED} makes 384 dimensions, 768 were asked for`,
      '--dimensions 384',
    ],
  ])('reembed bench %j', async (args, message, hint) => {
    const { code, stdout, stderr } = await runCli(['bench', ...args], { env });
    expect(stderr).toContain(message);
    expect(stderr).toContain(hint);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });
});

test('npm run bench:speed ends with the speedup over the old model', async () => {
  const args = ['--import=tsx', 'bench/speed.ts', ...short(), '--model', BUNDLED, '--baseline', '40'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, env: cliEnvironment(env) });
  expect(stdout.trim().split('\n').at(-1)).toMatch(/tokens a batch: \d+\.\d times the baseline of 40 texts\/s\.$/);
});
