import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dtype } from '../../config/types.ts';
import { ConfigError, ModelError } from '../../errors.ts';
import type { OnProgress } from '../../progress.ts';
import { type ModelManifest, readManifest, sizeOf, verifyManifest } from '../manifest.ts';
import { defaultModelsDir, isHubName } from '../model-files.ts';
import { DTYPES } from '../model-layout.ts';
import { makeDirectory } from './disk-space.ts';
import type { HubSettings } from './hub-request.ts';
import { type LockedModel, readLocked } from './lock-file.ts';
import { assertNoLink } from './place-model.ts';

export interface PullModelOptions {
  /** Where from, and with which token; `loadRuntimeSettings().remote`. */
  readonly remote: HubSettings;
  /** A branch, tag or commit; the locked one unless said, else `main`. */
  readonly revision?: string | undefined;
  /** The locked one unless said, else that of the model that is here, else the first of fp32, fp16, int8 that is published. */
  readonly dtype?: Dtype | undefined;
  /** `~/.cache/reembed/models` unless said. */
  readonly modelsDir?: string | undefined;
  /** The lock file; without it nothing is locked. */
  readonly modelLock?: string | undefined;
  /** Takes `main`, or `revision`, whatever is locked, and locks that. */
  readonly updateLock?: boolean | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds before a lost connection is taken up again (1,000); later pauses are longer. */
  readonly retryDelayMs?: number | undefined;
}

/** What is asked for, with what is known on this machine. */
export interface PullRequest extends PullModelOptions {
  readonly name: string;
  readonly modelsDir: string;
  readonly directory: string;
  readonly revision: string;
  /** Undefined: whatever the repository has. */
  readonly dtype: Dtype | undefined;
  readonly locked: LockedModel | undefined;
  /** The manifest of the model that is here, where its files agree with it. */
  readonly existing: ModelManifest | undefined;
  readonly onProgress: OnProgress;
}

/** @throws ConfigError, ModelError `models_dir_link`, `model_directory_foreign`, `model_lock_invalid` */
export async function readRequest(name: string, options: PullModelOptions): Promise<PullRequest> {
  assertNames(name, options.revision);
  const { modelsDir = defaultModelsDir(), modelLock, updateLock = false } = options;
  const directory = join(modelsDir, ...name.split('/'));
  await makeDirectory(name, modelsDir);
  await assertNoLink(modelsDir, name.split('/'));
  await assertNoLink(modelsDir, ['.downloads', ...name.split('/')]);
  const onProgress = options.onProgress ?? (() => undefined);
  const existing = await readExisting(directory, name, onProgress);
  const lockedAll = modelLock === undefined ? {} : await readLocked(modelLock, name);
  const dtype = options.dtype ?? DTYPES.find((each) => lockedAll[each] !== undefined) ?? existing?.dtype;
  const locked = dtype === undefined ? undefined : lockedAll[dtype];
  const revision = options.revision ?? (updateLock ? undefined : locked?.revision) ?? 'main';
  return { ...options, name, modelsDir, directory, revision, dtype, locked, existing, onProgress };
}

function assertNames(name: string, revision: string | undefined): void {
  if (!isHubName(name)) {
    throw new ConfigError('model_name_invalid', `"${name}" is no name of the Hub, <org>/<name> was expected.`, {
      step: 'configuration',
      hint: 'Run for example "reembed model pull BAAI/bge-small-en-v1.5".',
    });
  }
  if (revision === undefined || (/^\w[\w./-]*$/.test(revision) && !revision.includes('..'))) return;
  throw new ConfigError('revision_invalid', `"${revision}" is no revision; a branch, tag or commit was expected.`, {
    step: 'configuration',
    hint: 'Run for example "reembed model pull BAAI/bge-small-en-v1.5 --revision main".',
  });
}

/** What a pull left here and is whole; a model that was altered is downloaded again. */
async function readExisting(
  directory: string,
  name: string,
  onProgress: OnProgress,
): Promise<ModelManifest | undefined> {
  if (!(await stat(directory).catch(() => undefined))) return undefined;
  if ((await sizeOf(join(directory, 'manifest.json'))) === undefined) {
    throw new ModelError(
      'model_directory_foreign',
      `${directory} has no manifest.json: "reembed model pull" did not make it.`,
      {
        hint: `Move it away, or keep using it: it is found as ${name} as it is.`,
      },
    );
  }
  try {
    const manifest = await readManifest(directory);
    if (manifest !== undefined) await verifyManifest(directory, manifest);
    return manifest;
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    onProgress({ kind: 'warning', message: `${error.message} It is downloaded again` });
    return undefined;
  }
}
