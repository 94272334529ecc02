import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, messageOf } from '../errors.ts';

/**
 * Adds the variables of `.env` in `cwd` to the process's own, which win. For programs (the CLI, a knexfile), never for
 * library code: what a library reads is its caller's business.
 *
 * @returns the file that was read, undefined when there is none
 */
export function loadEnvironment(cwd = process.cwd()): string | undefined {
  const file = join(cwd, '.env');
  if (!existsSync(file)) return undefined;
  try {
    process.loadEnvFile(file);
  } catch (error) {
    throw new ConfigError('env_unreadable', `${file} could not be read: ${messageOf(error)}`, {
      step: 'configuration',
      hint: 'Make the file readable, or remove it and set the variables yourself.',
      cause: error,
    });
  }
  return file;
}
