import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ConfigError, messageOf } from '../../errors.ts';
import type { NewFile } from './make-files.ts';

/** Names of the migrations that are there. */
export function listMigrations(cwd: string, directory: string): string[] {
  const path = resolve(cwd, directory);
  return existsSync(path) ? readdirSync(path) : [];
}

/**
 * Writes all files or none; one that is there is never written over.
 *
 * @throws ConfigError `file_exists`, `file_not_written`
 */
export async function writeNewFiles(cwd: string, files: readonly NewFile[], hint: string): Promise<void> {
  const written: string[] = [];
  try {
    for (const { path, content } of files) {
      const absolute = resolve(cwd, path);
      await mkdir(dirname(absolute), { recursive: true });
      await writeFile(absolute, content, { flag: 'wx' });
      written.push(absolute);
    }
  } catch (cause) {
    for (const path of written) await rm(path, { force: true });
    const taken = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    const path = files[written.length]?.path;
    throw new ConfigError(
      taken ? 'file_exists' : 'file_not_written',
      taken ? `${path} is there already and is not written over.` : `${path} could not be written: ${messageOf(cause)}`,
      { step: 'configuration', hint, context: { path }, cause },
    );
  }
}
