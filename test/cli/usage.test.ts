import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT, runCli } from './run-cli.ts';

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'reembed-cli-'));
  const migration = (id: string, table: string) =>
    JSON.stringify({ id, table, text: 'text', column: 'embedding', model: 'hash/8', dimensions: 8 });
  const list = `export default [${migration('first', 'a')}, ${migration('second', 'b')}];`;
  await writeFile(join(project, 'reembed.config.mjs'), list);
  await writeFile(join(project, 'broken.mjs'), 'export default { id: "X", table: "a.b.c", dimensions: 0 };');
});
afterAll(() => rm(project, { recursive: true }));

describe('help', () => {
  test('lists the verbs and the exit codes on stdout', async () => {
    const { code, stdout, stderr } = await runCli(['--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const verb of ['up', 'down', 'backfill', 'swap', 'rollback', 'finalize', 'backup', 'restore', 'status']) {
      expect(stdout).toMatch(new RegExp(`^  reembed ${verb} `, 'm'));
    }
    expect(stdout).toContain('Exit codes: 0 done, 1 refused or failed, 2 bad usage');
  });

  test('of a verb shows its own flags', async () => {
    const { code, stdout } = await runCli(['verify', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--sample');
    expect(stdout).not.toContain('--include-edited');
  });
});

describe('bad usage exits with 2 before anything is touched', () => {
  test.each([
    [[], 'A command is missing.'],
    [['migrate'], 'Unknown argument: migrate'],
    [['up', 'down'], 'Unknown argument: down'],
    [['up', '--to'], 'Not enough arguments following: to'],
    [['backup', '--side', 'both'], 'Argument: side, Given: "both", Choices: "old", "new"'],
    [['restore'], 'Not enough non-option arguments'],
    [['verify', '--sample', '20'], '--sample is "20", expected a whole number from 200'],
  ])('reembed %j', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
    expect(stderr).toContain('reembed --help');
  });

  test('tells every problem of the arguments at once', async () => {
    const { code, stderr } = await runCli(['backup', '--side', 'both', '--frm', '3', 'more']);
    expect(code).toBe(2);
    expect(stderr).toContain('Unknown arguments: frm, more');
    expect(stderr).toContain('Given: "both"');
  });

  test('tells every problem of the environment at once', async () => {
    const env = { DATABASE_URL: 'mysql://me:s3cret@host/db', REEMBED_BATCH_ROWS: 'many', REEMBED_LOG: 'xml' };
    const { code, stderr } = await runCli(['status'], { env });
    expect(code).toBe(2);
    expect(stderr).toContain('DATABASE_URL is not understood');
    expect(stderr).toContain('REEMBED_BATCH_ROWS is "many", expected a whole number');
    expect(stderr).toContain('REEMBED_LOG is "xml"');
    expect(stderr).not.toContain('s3cret');
  });

  test('without a database names both ways', async () => {
    for (const verb of ['status', 'up']) {
      const { code, stderr } = await runCli([verb]);
      expect(code, verb).toBe(2);
      expect(stderr).toContain('DATABASE_URL=embedded');
      expect(stderr).toContain('DATABASE_URL=postgres://');
    }
  });

  test('without a configuration names the file', async () => {
    const { code, stderr } = await runCli(['status'], { cwd: tmpdir() });
    expect(code).toBe(2);
    expect(stderr).toContain('There is no reembed.config.{ts,mts,js,mjs,cjs} in');
  });

  test('lists the migrations where none or an unknown one is chosen', async () => {
    const none = await runCli(['status'], { cwd: project });
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('holds 2 migrations and none was chosen: first, second.');
    const unknown = await runCli(['status', '--migration', 'third'], { cwd: project });
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain('holds no migration "third"; it holds first, second.');
  });

  test('tells every problem of the configuration at once', async () => {
    const { code, stderr } = await runCli(['status', '--config', 'broken.mjs'], { cwd: project });
    expect(code).toBe(2);
    for (const name of ['id', 'table', 'text', 'column', 'model', 'dimensions']) {
      expect(stderr).toMatch(new RegExp(`^  ${name} is `, 'm'));
    }
  });
});

describe('a failure', () => {
  test('with --json is one document on stdout, and nothing on stderr', async () => {
    const { code, stdout, stderr } = await runCli(['status', '--json'], { cwd: project });
    expect(code).toBe(2);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      error: {
        code: 'migration_not_chosen',
        message: 'reembed.config.mjs holds 2 migrations and none was chosen: first, second.',
        hint: 'Add --migration first, or another of them.',
        context: { migrations: ['first', 'second'] },
      },
    });
    const usage = await runCli(['nothing', '--json']);
    expect(JSON.parse(usage.stdout)).toMatchObject({ error: { code: 'usage' } });
  });

  test('shows the stack with --verbose only', async () => {
    const plain = await runCli(['status'], { cwd: project });
    expect(plain.stderr).not.toContain('    at ');
    const verbose = await runCli(['status', '--verbose'], { cwd: project });
    expect(verbose.stderr).toContain('    at ');
  });

  test('to reach the database is told without its password, and exits with 1', async () => {
    const env = { DATABASE_URL: 'postgres://me:s3cret@127.0.0.1:1/db' };
    for (const verb of ['status', 'up']) {
      const { code, stderr } = await runCli([verb, '--verbose'], { env });
      expect(code, verb).toBe(1);
      expect(stderr).toContain('Could not connect to Postgres at 127.0.0.1:1/db');
      expect(stderr).not.toContain('s3cret');
    }
  });
});

test('variables of a .env are read, and those that are set win', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'reembed-env-'));
  await writeFile(join(cwd, '.env'), 'REEMBED_GATE=nonsense\nREEMBED_LOG=text\n');
  await writeFile(join(cwd, 'reembed.config.mjs'), 'export default {};');
  const options = { cwd, env: { REEMBED_LOG: 'wrong' } };
  const config = ['--config', join(project, 'reembed.config.mjs'), '--migration', 'first'];
  const { stderr } = await runCli(['status', ...config], options);
  expect(stderr).toContain('REEMBED_GATE is "nonsense"');
  expect(stderr).toContain('REEMBED_LOG is "wrong"');
  await rm(cwd, { recursive: true });
});

test('docs/cli.md has every verb of --help', async () => {
  const { stdout } = await runCli(['--help']);
  const verbs = [...stdout.matchAll(/^ {2}reembed (\w+)/gm)].map((match) => match[1]);
  const documentation = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8');
  expect(verbs.length).toBeGreaterThan(10);
  expect(verbs.filter((verb) => !documentation.includes(`\`${verb}`))).toEqual([]);
});
