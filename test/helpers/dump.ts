import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { findServer } from './local-server.ts';

/** `pg_dump` and `pg_restore` of one version. */
export interface DumpPrograms {
  readonly major: number;
  readonly dump: string;
  readonly restore: string;
}

/** The programs of this machine that can read a server of so high a version: pg_dump refuses a newer one than itself. */
export function findDumpPrograms(serverMajor: number): DumpPrograms | undefined {
  const directories = ['', findServer(15), findServer(18)].filter((directory) => directory !== undefined);
  return directories
    .map((directory) => {
      const dump = join(directory, 'pg_dump');
      const { stdout } = spawnSync(dump, ['--version'], { encoding: 'utf8' });
      return { dump, restore: join(directory, 'pg_restore'), major: Number(/ (\d+)/.exec(stdout ?? '')?.[1] ?? 0) };
    })
    .find(({ major }) => major >= serverMajor);
}

/** Copies a database as an operator does; fails with what the programs printed. */
export function copyByDump(programs: DumpPrograms, from: string, to: string, file: string): void {
  run(programs.dump, ['--format=custom', '--file', file, '--dbname', from]);
  run(programs.restore, ['--no-owner', '--exit-on-error', '--dbname', to, file]);
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, [...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${error?.message ?? stderr}`);
}
