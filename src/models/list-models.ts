import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dtype } from '../config/types.ts';
import { ModelError } from '../errors.ts';
import { checkLock } from './hub/lock-file.ts';
import { readManifest } from './manifest.ts';
import { defaultModelsDir, type ResolveOptions, resolveModelFiles } from './model-files.ts';
import { packageRoot } from './package-root.ts';

/** A model on this machine. Without a manifest only its files tell what it is. */
export interface ListedModel {
  readonly name: string;
  readonly directory: string;
  readonly bundled: boolean;
  readonly kind: 'embedding' | 'reranker';
  /** Null where its files do not say it, and of rerankers, which make no vectors. */
  readonly dimensions: number | null;
  readonly dtype: Dtype | null;
  /** The commit, of those that were pulled. */
  readonly revision: string | null;
  readonly license: string | null;
  /** Bytes of all files of the manifest. */
  readonly bytes: number | null;
  /** Why its manifest cannot be read; null where it can, or there is none. */
  readonly problem: string | null;
}

/** The bundled models and those below `modelsDir`, as `<org>/<name>`. Reads manifests only; loads and checks nothing. */
export async function listModels(modelsDir: string = defaultModelsDir()): Promise<readonly ListedModel[]> {
  return Promise.all((await modelFolders(modelsDir)).map(describeModel));
}

export interface VerifiedModel {
  readonly name: string;
  readonly directory: string;
  readonly dtype: Dtype;
  /** `match`: sizes and checksums are those of the manifest; `no manifest`: there was nothing to compare with. */
  readonly result: 'match' | 'no manifest';
  /** True where a lock file names the model: its checksums are the locked ones. */
  readonly locked: boolean;
  /** sha256 of each file that takes part in inference. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * Compares every file of a model with its manifest, and with the lock file where that names the model.
 *
 * @throws ModelError `model_missing`, `model_file_altered`, `dtype_missing`, `model_lock_differs`
 */
export async function verifyModel(model: string, options: ResolveOptions = {}): Promise<VerifiedModel> {
  const { name, directory, dtype, manifest, hashes } = await resolveModelFiles(model, options);
  const locked = options.modelLock !== undefined && (await checkLock(options.modelLock, { name, dtype, hashes }));
  return { name, directory, dtype, result: manifest === undefined ? 'no manifest' : 'match', locked, files: hashes };
}

/** A model whose files are not as they should be. */
export interface RefusedModel {
  readonly name: string;
  readonly directory: string;
  readonly result: 'refused';
  /** The error's own. */
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** Verifies every model on this machine, in its own precision unless said; one that is refused does not keep the others from being looked at. */
export async function verifyModels(options: ResolveOptions = {}): Promise<readonly (VerifiedModel | RefusedModel)[]> {
  const verified: (VerifiedModel | RefusedModel)[] = [];
  for (const { name, directory } of await modelFolders(options.modelsDir ?? defaultModelsDir())) {
    try {
      verified.push(await verifyModel(directory, options));
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      const { code, message, hint = '' } = error;
      verified.push({ name, directory, result: 'refused', code, message, hint });
    }
  }
  return verified;
}

interface ModelFolder extends Pick<ListedModel, 'directory' | 'bundled'> {
  /** By its place; the manifest's goes before it. */
  readonly name: string;
}

async function modelFolders(modelsDir: string): Promise<readonly ModelFolder[]> {
  const bundled = join(packageRoot(), 'models');
  const own = await Promise.all((await folders(modelsDir)).map(async (org) => within(modelsDir, org)));
  return [
    ...(await folders(bundled)).map((name) => ({ directory: join(bundled, name), name, bundled: true })),
    ...own.flat().map(([directory, name]) => ({ directory, name, bundled: false })),
  ];
}

async function describeModel({ directory, name, bundled }: ModelFolder): Promise<ListedModel> {
  const read = await readManifest(directory).catch((error: unknown) => {
    if (error instanceof ModelError) return error;
    throw error;
  });
  const manifest = read instanceof ModelError ? undefined : read;
  const sizes = manifest === undefined ? [] : Object.values(manifest.files);
  return {
    name: manifest?.name ?? name,
    directory,
    bundled,
    kind: manifest?.kind ?? 'embedding',
    dimensions: manifest?.dimensions ?? null,
    dtype: manifest?.dtype ?? null,
    revision: manifest?.revision ?? null,
    license: manifest?.license ?? null,
    bytes: manifest === undefined ? null : sizes.reduce((sum, file) => sum + file.bytes, 0),
    problem: read instanceof ModelError ? read.message : null,
  };
}

async function within(modelsDir: string, org: string): Promise<(readonly [string, string])[]> {
  const names = await folders(join(modelsDir, org));
  return names.map((name) => [join(modelsDir, org, name), `${org}/${name}`] as const);
}

/** A directory that is not there holds nothing; one that cannot be read is told. Names with a dot are downloads that are not complete. */
async function folders(directory: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries
      .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return [];
    throw error;
  }
}
