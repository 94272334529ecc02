import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const KNEX = fileURLToPath(new URL('../../node_modules/knex/bin/cli.js', import.meta.url));
const REEMBED = fileURLToPath(new URL('../../bin/reembed.mjs', import.meta.url));

/** The environment in which the repository's own migrations run with the hash model and leases that end soon. */
export const FAST_ENV: Readonly<Record<string, string>> = {
  EMBEDDING_PROVIDER: 'hash',
  EMBEDDING_MODEL: 'hash/384',
  REEMBED_LEASE_SECONDS: '2',
  REEMBED_GATE: 'off',
  REEMBED_BACKUP: `${tmpdir()}/reembed-fault-backups`,
  NODE_OPTIONS: '--import=tsx',
};

export interface Exit {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Stdout and stderr, as they came. */
  readonly output: string;
}

/** A command that runs in a process group of its own. */
export interface Running {
  readonly pid: number;
  readonly exit: Promise<Exit>;
  hasExited(): boolean;
  output(): string;
  /** Signals the whole group, as a terminal or an out-of-memory killer does. */
  signal(signal: NodeJS.Signals): void;
}

const started = new Set<Running>();

/** `npx knex …` without npx: one process less between the test and what it kills. */
export function startKnex(url: string, args: readonly string[], env: Environment = {}): Running {
  return start([KNEX, ...args], url, env);
}

/** `npx reembed …`. */
export function startReembed(url: string, args: readonly string[], env: Environment = {}): Running {
  return start([REEMBED, ...args], url, env);
}

/** Ends what a failed test left running; only processes that were started here. */
export function killStarted(): void {
  for (const running of started) running.signal('SIGKILL');
}

type Environment = Readonly<Record<string, string>>;

/** Set in the tests of `test/faults`: the built project starts in a quarter of the CPU time of the sources under tsx. */
let built: string | undefined;

/** From now on commands are those of the project that is built there. */
export function useBuiltProject(directory: string): void {
  built = directory;
}

function start(args: readonly string[], url: string, env: Environment): Running {
  const common = { ...FAST_ENV, DATABASE_URL: url, ...env };
  if (built === undefined) return startProgram(args, { cwd: ROOT, env: common });
  const program = args[0] === REEMBED ? ['cli.js', ...args.slice(1)] : args;
  return startProgram(program, { cwd: built, env: { ...common, NODE_OPTIONS: '' } });
}

/** A program of Node's with nothing in its environment that the test runner or its user has set for reembed. */
export function startProgram(
  args: readonly string[],
  options: { readonly cwd: string; readonly env: Environment },
): Running {
  const child = spawn(process.execPath, [...args], {
    cwd: options.cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inheritedEnvironment(), ...options.env },
  });
  const running = observe(child);
  started.add(running);
  void running.exit.finally(() => started.delete(running));
  return running;
}

function inheritedEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(REEMBED|EMBEDDING|NODE_ENV|VITEST|PG|DATABASE_URL|NODE_OPTIONS)/.test(name),
  );
  return Object.fromEntries(kept);
}

function observe(child: ChildProcess): Running {
  let output = '';
  let exited = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const exit = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      exited = true;
      resolve({ code, signal, output });
    });
  });
  const pid = child.pid ?? 0;
  return {
    pid,
    exit,
    hasExited: () => exited,
    output: () => output,
    signal(signal) {
      if (exited || pid === 0) return;
      try {
        process.kill(-pid, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    },
  };
}
