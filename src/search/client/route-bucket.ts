import { createHash } from 'node:crypto';

const BYTES = 6;

/**
 * Where a key falls among 0 ≤ … < 100: the same in every process, and for the next migration in another place. A share that is raised keeps
 * those that it had.
 */
export function routeBucket(migrationId: string, key: string): number {
  const digest = createHash('sha256').update(`${migrationId}\n${key}`).digest();
  return (digest.readUIntBE(0, BYTES) / 2 ** (8 * BYTES)) * 100;
}
