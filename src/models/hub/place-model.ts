import { copyFile, link, lstat, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ModelError } from '../../errors.ts';
import type { ModelManifest } from '../manifest.ts';
import { explainWriteFailure, makeDirectory } from './disk-space.ts';
import { ownedName, removeAbandoned } from './partial-file.ts';

/** A verified file and where it lies until now. */
export interface PlacedFile {
  /** Relative to the model's directory. */
  readonly name: string;
  readonly path: string;
  /** `link`: it stays where it is too. */
  readonly how: 'move' | 'link';
}

/**
 * Makes a model's directory out of verified files: whole and with its manifest in one rename, so that nobody ever sees half a model.
 * A model that is there is exchanged for it; of two processes at once one comes last.
 */
export async function placeModel(
  directory: string,
  files: readonly PlacedFile[],
  manifest: ModelManifest,
): Promise<void> {
  const staging = ownedName(hiddenBeside(directory));
  await makeDirectory(manifest.name, staging);
  try {
    await writeFile(join(staging, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    for (const file of files) await bring(file, join(staging, file.name));
    await exchange(staging, directory);
  } catch (cause) {
    throw explainWriteFailure(manifest.name, directory, cause);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  await removeAbandoned(dirname(directory), `${basename(hiddenBeside(directory))}.`);
}

/**
 * Refuses to write through a symbolic link below `modelsDir`: it would put files elsewhere than it says.
 * @param parts the names below `modelsDir`, one a folder.
 * @throws ModelError `models_dir_link`
 */
export async function assertNoLink(modelsDir: string, parts: readonly string[]): Promise<void> {
  let path = modelsDir;
  for (const part of parts) {
    path = join(path, part);
    const entry = await lstat(path).catch(() => undefined);
    if (entry === undefined) return;
    if (entry.isDirectory()) continue;
    const what = entry.isSymbolicLink() ? 'a symbolic link' : 'a file';
    throw new ModelError('models_dir_link', `${path} is ${what}, a directory was expected.`, {
      hint: 'Remove it, or set REEMBED_MODELS_DIR to another directory; reembed downloads through no link.',
    });
  }
}

async function bring({ path, how }: PlacedFile, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  if (how === 'move') return rename(path, target);
  // A file system without links.
  await link(path, target).catch(() => copyFile(path, target));
}

/** A directory that holds something cannot be renamed onto: the old one is moved away first, and back when that was in vain. */
async function exchange(staging: string, directory: string): Promise<void> {
  const ATTEMPTS = 5;
  for (let attempt = 1; ; attempt++) {
    try {
      return await rename(staging, directory);
    } catch (error) {
      if (attempt === ATTEMPTS || !isOccupied(error)) throw error;
    }
    const retired = ownedName(hiddenBeside(directory));
    const moved = await rename(directory, retired).then(
      () => true,
      () => false,
    );
    if (!moved) continue;
    try {
      return await rename(staging, directory);
    } catch (error) {
      // Another process put its own there meanwhile: that one is the older now.
      if (!isOccupied(error)) {
        await rename(retired, directory);
        throw error;
      }
    } finally {
      await rm(retired, { recursive: true, force: true });
    }
  }
}

function isOccupied(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'EPERM';
}

/** Where a directory is made ready; names with a dot are no models. */
function hiddenBeside(directory: string): string {
  return join(dirname(directory), `.${basename(directory)}`);
}
