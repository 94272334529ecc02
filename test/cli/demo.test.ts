import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDataDirectory } from '../helpers/test-database.ts';
import { type CliOptions, type CliRun, ROOT, runCli as runBinary, SOURCE_BINARY } from './run-cli.ts';

const directory = mkdtempSync(join(tmpdir(), 'reembed-demo-test-'));
beforeAll(() => createDataDirectory(join(directory, 'data')));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const MIGRATIONS = ['005_add_embedding_384.ts', '006_backfill_embedding_384.ts', '007_swap_embedding.ts'];

interface Side {
  readonly dimensions: number;
  readonly vectorBytes: number;
  readonly indexBytes: number;
  readonly exact: { readonly recall: number };
  readonly throughIndex: { readonly recall: number; readonly index: { readonly probes: number } };
}

/** The demo is for people in a clone. */
function runCli(args: readonly string[], options: CliOptions): Promise<CliRun> {
  return runBinary(args, { ...options, cwd: ROOT, binary: SOURCE_BINARY });
}

/** The two numbers of a line of the comparison: `Recall@10, exact   0.66   0.76`. */
function compared(run: CliRun, name: string): readonly number[] {
  const line = run.stdout.split('\n').find((each) => each.trimStart().startsWith(name));
  return (
    (line ?? '')
      .slice((line ?? '').indexOf(name) + name.length)
      .match(/\d+(\.\d+)?/g)
      ?.map(Number) ?? []
  );
}

describe('reembed demo', () => {
  // Settings of another project must not lead the demo anywhere else.
  const env = {
    DATABASE_URL: 'postgres://nobody@localhost:1/nowhere',
    REEMBED_TABLE: 'other',
    EMBEDDING_MODEL: 'hash/8',
  };

  test('takes real passages through the three migrations, finds more afterwards than before, and leaves a database to look at', async () => {
    const run = await runCli(['demo', '--directory', directory], { env });
    expect(run.code, run.stderr).toBe(0);
    for (const [i, name] of MIGRATIONS.entries()) expect(run.stdout).toContain(`Migration ${i + 1} of 3: ${name}`);
    expect(run.stderr).toMatch(/1,000 of 1,000 rows/);
    const [before = 0, after = 0] = compared(run, 'Recall@10, exact');
    expect(before).toBeGreaterThan(0.5);
    expect(after).toBeGreaterThan(before);
    expect(compared(run, 'dimensions')).toEqual([1536, 384]);
    const assignments = run.stdout.match(/\b[A-Z_]+=\S+/g)?.map((each) => each.split('=') as [string, string]) ?? [];
    const status = await runCli(['status', '--json'], { env: Object.fromEntries(assignments) });
    expect(JSON.parse(status.stdout)).toMatchObject({
      phase: 'swapped',
      active: 'new',
      rows: { done: 1000, pending: 0 },
    });
  }, 300_000);

  test('run again on fewer passages with all vectors dealt out to other rows, recall collapses: what it prints is measured', async () => {
    const run = await runCli(['demo', '--directory', directory, '--permute', '7', '--passages', '500', '--json'], {
      env,
    });
    expect(run.code, run.stderr).toBe(0);
    const { before, after, migrations } = JSON.parse(run.stdout) as {
      before: Side;
      after: Side;
      migrations: unknown[];
    };
    for (const side of [before, after]) {
      expect(side.exact.recall).toBeLessThan(0.1);
      expect(side.throughIndex.recall).toBeLessThan(0.1);
      expect(side.throughIndex.index.probes).toBeGreaterThan(0);
    }
    expect(migrations).toMatchObject(MIGRATIONS.map((name) => ({ name })));
    expect(after.vectorBytes / before.vectorBytes).toBeCloseTo(384 / 1536, 2);
    expect(after.indexBytes).toBeLessThan(before.indexBytes);
  }, 300_000);
});
