import { spawnSync } from 'node:child_process';
import { describe } from 'vitest';
import { hasDocker } from './docker-server.ts';
import { findServer, type LocalServer, type PostgresVersion, startLocalServer } from './local-server.ts';

/** What only some machines have. The name is part of the tests' names: `npm test -- -t '\[pgvector\]'` chooses them. */
export type Requirement = 'cuda' | 'docker' | 'pgvector';

const LACKING: Readonly<Record<Requirement, () => string | undefined>> = {
  cuda: () => (spawnSync('nvidia-smi', ['-L']).status === 0 ? undefined : 'no NVIDIA GPU on this machine'),
  docker: () => (hasDocker() ? undefined : 'no Docker engine on this machine'),
  pgvector: () =>
    ownVersion() === undefined ? 'no Postgres with pgvector: run "bash .ci/install-postgres.sh 15"' : undefined,
};

/** The installed version that tests with a server of their own use: the one under test, else any. */
function ownVersion(): PostgresVersion | undefined {
  const versions: readonly PostgresVersion[] = process.env.REEMBED_TEST_PG === '18' ? [18, 15] : [15, 18];
  return versions.find((version) => findServer(version) !== undefined);
}

/**
 * A group of tests that needs more than every machine has: skipped by name, with the reason printed. A Postgres is
 * what the gate installs, so with CI=true its absence is a failure instead.
 */
export function describeWith(requirement: Requirement, name: string, tests: () => void): void {
  const lacking = LACKING[requirement]();
  const tagged = `${name} [${requirement}]`;
  if (lacking === undefined) {
    describe(tagged, tests);
    return;
  }
  if (process.env.CI === 'true' && requirement === 'pgvector') throw new Error(`${tagged}: ${lacking}`);
  process.stderr.write(`skipped: ${tagged}: ${lacking}\n`);
  describe.skip(tagged, tests);
}

/** A server that the test may stop and kill; it syncs to disk as in production. For use inside `describeWith('pgvector', …)`. */
export async function startOwnServer(version: PostgresVersion | undefined = ownVersion()): Promise<LocalServer> {
  return startLocalServer(version ?? 15, []);
}
