import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';

export const ROOT = join(import.meta.dirname, '../..');
/** As a clone has it: the sources, compiled anew with every start. */
export const SOURCE_BINARY = join(ROOT, 'bin/reembed.mjs');
/** As the package has it where the gate has just built it, which starts with two thirds of the CPU. */
export const BINARY = process.env.REEMBED_TEST_BUILT === '1' ? join(ROOT, 'dist/esm/cli/main.js') : SOURCE_BINARY;

/** The migrations of the project that commands run in, as knex's ledger names them. */
export const MIGRATIONS = ['005_add_embedding_384', '006_backfill_embedding_384', '007_swap_embedding'].map(
  (name) => `${name}.${inject('cliProject') === ROOT ? 'ts' : 'mjs'}`,
);

export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly binary?: string;
}

/** Not the user's own: what a test calibrates stays with the tests of this run. */
const CACHE = join(tmpdir(), `reembed-cli-cache-${process.pid}`);

/** The embedded Postgres starts with a third less CPU when V8 does not optimise what so short a process runs. */
export const FAST_START: readonly string[] = ['--liftoff-only'];

/** This process's environment without its own settings of the database, the model and Node. */
export function cliEnvironment(env: CliOptions['env'] = {}): NodeJS.ProcessEnv {
  const own = /^(DATABASE_URL|REEMBED_|EMBEDDING_|NODE_OPTIONS|NODE_ENV)/;
  const kept = Object.entries(process.env).filter(([name]) => !own.test(name));
  return { ...Object.fromEntries(kept), REEMBED_CACHE_DIR: CACHE, ...env };
}

/** Runs the real binary to its end. */
export function runCli(
  args: readonly string[],
  { cwd = inject('cliProject'), env = {}, binary = BINARY }: CliOptions = {},
): Promise<CliRun> {
  const child = spawn(process.execPath, [...FAST_START, binary, ...args], { cwd, env: cliEnvironment(env) });
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
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
