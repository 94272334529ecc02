import type { Dtype } from '../../config/types.ts';
import { ModelError } from '../../errors.ts';
import { BUNDLED_MODEL, waysWithoutHub } from '../model-files.ts';
import { HubError } from './hub-errors.ts';
import { type InstalledModel, installModel } from './install-model.ts';
import { checkLock, differingFile, type LockCandidate, writeLock } from './lock-file.ts';
import { manifested } from './make-manifest.ts';
import { type HubModel, readModelInfo } from './model-info.ts';
import { type PullModelOptions, type PullRequest, readRequest } from './pull-request.ts';
import { withRetries } from './retry-request.ts';

export interface PulledModel {
  readonly name: string;
  readonly directory: string;
  /** The commit. */
  readonly revision: string | null;
  readonly dtype: Dtype;
  readonly license: string;
  /** As its files state; null where they do not. */
  readonly dimensions: number | null;
  /** `present`: it was here already and is as it should be. */
  readonly result: 'downloaded' | 'present';
  readonly lock: 'written' | 'updated' | 'matches' | 'none';
  /** Bytes of the files that take part in inference, and of them those that came over the network in this run. */
  readonly bytes: number;
  readonly receivedBytes: number;
  /** sha256 of each of these files. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * Downloads a model's files from the Hub, verifies them and puts them where models are looked up by name; goes on where an earlier run
 * stopped, and downloads nothing that is here already.
 * @param name as the Hub writes it, e.g. `BAAI/bge-small-en-v1.5`.
 * @throws ModelError `model_lock_differs`, `onnx_missing`, `dtype_missing`, `download_corrupt`, `disk_full`, `hub_gated`,
 *   `model_not_found`, `hub_unreachable` …; ConfigError when the name or the revision is none; the signal's reason when it aborts.
 */
export async function pullModel(name: string, options: PullModelOptions): Promise<PulledModel> {
  const request = await readRequest(name, options);
  const { revision } = request;
  const here = usable(request);
  if (here?.manifest.revision === revision) return finish(request, here);
  const published = await askHub(request, here);
  if (here !== undefined && (published === undefined || published.commit === here.manifest.revision)) {
    return finish(request, here);
  }
  if (published === undefined) throw new Error(`${name} is neither here nor on the Hub`);
  return finish(request, await installModel(published, request));
}

/** The model that is here, unless it lacks the precision or is another than the locked one. */
function usable({ existing, dtype, locked, updateLock }: PullRequest): InstalledModel | undefined {
  if (existing === undefined) return undefined;
  const model = manifested(existing, dtype);
  if (model === undefined) return undefined;
  const locks = updateLock !== true && locked !== undefined;
  return locks && differingFile(locked, model.hashes) !== undefined ? undefined : { manifest: existing, model };
}

/** Undefined when the Hub cannot be asked and what is here will do. */
async function askHub(request: PullRequest, here: InstalledModel | undefined): Promise<HubModel | undefined> {
  const { name, remote, revision, directory, updateLock } = request;
  try {
    return await withRetries(() => readModelInfo(remote, name, revision, request.signal), request);
  } catch (error) {
    if (!(error instanceof HubError) || error.code !== 'hub_unreachable') throw error;
    if (here !== undefined && revision === 'main' && updateLock !== true) {
      request.onProgress({ kind: 'warning', message: `${error.message} The model that is here is taken` });
      return undefined;
    }
    const missing = `The model ${name} is not under ${request.modelsDir} as it was asked for`;
    throw new ModelError('hub_unreachable', `${missing}, and ${error.message}`, {
      hint: waysWithoutHub(directory),
      cause: error,
    });
  }
}

async function finish(request: PullRequest, { manifest, model, received }: InstalledModel): Promise<PulledModel> {
  const { name, directory, onProgress } = request;
  const { dtype, hashes, bytes } = model;
  const lock = await settleLock(request, { name, dtype, hashes }, manifest.revision);
  if (name === BUNDLED_MODEL) {
    const message = `${name} is bundled as int8: set EMBEDDING_DTYPE=${dtype} to use what was downloaded`;
    onProgress({ kind: 'warning', message });
  }
  const { revision, license, dimensions } = manifest;
  const result = received === undefined ? 'present' : 'downloaded';
  const facts = { name, directory, revision, dtype, license, dimensions };
  return { ...facts, result, lock, bytes, receivedBytes: received ?? 0, files: hashes };
}

async function settleLock(
  { modelLock, updateLock, locked }: PullRequest,
  candidate: LockCandidate,
  revision: string | null,
): Promise<PulledModel['lock']> {
  if (modelLock === undefined) return 'none';
  if (updateLock !== true && (await checkLock(modelLock, candidate))) return 'matches';
  await writeLock(modelLock, candidate, revision);
  return locked === undefined ? 'written' : 'updated';
}
