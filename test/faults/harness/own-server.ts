import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { findServer, type PostgresVersion } from '../../helpers/local-server.ts';
import type { SmallDisk } from './world.ts';

/** What a commit has promised must be on its way to the disk, because this server is killed; nobody pulls the plug on the machine. */
export const SETTINGS = ['fsync=off', 'max_connections=200', 'deadlock_timeout=1s'];

/** `pg_ctl restart -m immediate` of a server that this machine's user may control; the process goes on meanwhile. */
export async function crash(url: string, data: string): Promise<void> {
  const version = await readVersion(url);
  const bin = findServer(version);
  if (bin === undefined) throw new Error(`Postgres ${version} is not here`);
  const args = [
    join(bin, 'pg_ctl'),
    'restart',
    '-m',
    'immediate',
    '-w',
    '-t',
    '60',
    '-D',
    data,
    '-l',
    join(dirname(data), 'log'),
  ];
  const [program = '', ...rest] = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--', ...args] : args;
  const child = spawn(program, rest, { cwd: '/', stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`pg_ctl restart ended with ${code}`);
}

async function readVersion(url: string): Promise<PostgresVersion> {
  const client = new pg.Client({ connectionString: url, application_name: 'harness' });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ version: string }>(`SELECT current_setting('server_version_num') AS version`);
  await client.end();
  return Number(rows[0]?.version) >= 180_000 ? 18 : 15;
}

/** Whether this process may mount a file system. */
export function mayMount(): boolean {
  return process.getuid?.() === 0 && process.platform === 'linux';
}

export interface MountedDisk extends SmallDisk {
  /** For CREATE TABLESPACE. */
  readonly location: string;
  unmount(): void;
}

/** A file system in memory of some megabytes, which the server's account owns. @returns undefined where it cannot be mounted */
export function mountDisk(megabytes: number): MountedDisk | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'reembed-disk-'));
  const mounted = mayMount() && run('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', directory);
  const location = join(directory, 'space');
  if (!mounted || !run('mkdir', location) || !run('chown', 'postgres', directory, location)) {
    rmSync(directory, { recursive: true, force: true });
    return undefined;
  }
  const ballast = join(directory, 'ballast');
  return {
    location,
    async fill() {
      const { bavail, bsize } = await statfs(directory);
      // The others write too: whatever is left is taken.
      await writeFile(ballast, Buffer.alloc(Math.max(0, bavail * bsize))).catch(() => undefined);
    },
    free: () => rm(ballast, { force: true }),
    unmount() {
      run('umount', '-l', directory);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function run(program: string, ...args: string[]): boolean {
  return spawnSync(program, args).status === 0;
}
