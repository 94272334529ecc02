import { join } from 'node:path';
import { ModelError } from '../../errors.ts';
import { type ModelManifest, readManifest, verifyManifest } from '../manifest.ts';
import { readStatedModel } from '../stated-config.ts';
import { type ChosenFiles, chooseFiles } from './choose-files.ts';
import { type DownloadedModel, downloadModel, removeParts, type VerifiedFile } from './download-model.ts';
import { checkLock } from './lock-file.ts';
import { type ManifestedModel, manifested, withFilesOf } from './make-manifest.ts';
import { type HubFile, type HubModel, readFileInfo } from './model-info.ts';
import { type PlacedFile, placeModel } from './place-model.ts';
import type { PullRequest } from './pull-request.ts';
import { withRetries } from './retry-request.ts';

export interface InstalledModel {
  readonly manifest: ModelManifest;
  /** What the manifest holds in the precision that was asked for. */
  readonly model: ManifestedModel;
  /** Bytes that came over the network; undefined where the model was here before. */
  readonly received?: number;
}

/** Downloads what is missing of a model at one commit, holds it against the lock, and puts it in its place. */
export async function installModel(published: HubModel, request: PullRequest): Promise<InstalledModel> {
  const { name, remote, modelsDir, directory, signal, onProgress, retryDelayMs } = request;
  const chosen = chooseFiles(name, published.paths, request.dtype);
  const files: HubFile[] = [];
  for (const path of chosen.files) {
    files.push(
      published.listed.get(path) ?? (await withRetries(() => readFileInfo(remote, published, path, signal), request)),
    );
  }
  await assertLargeFilesLocked(request, chosen, files);
  onProgress({
    kind: 'notice',
    message: `${name} (${chosen.dtype}) at ${published.commit}, licence ${published.license}`,
  });
  const downloads = join(modelsDir, '.downloads', ...name.split('/'));
  const downloaded = await downloadModel(remote, published, files, {
    downloads,
    existing: directory,
    onProgress,
    signal,
    retryDelayMs,
  });
  try {
    const made = await makeManifest(published, name, chosen, downloaded);
    const model = await assertLocked(request, made);
    const { manifest, kept } = await keepOthers(made, directory);
    await placeModel(directory, [...downloaded.files, ...kept], manifest);
    await removeParts(downloads);
    return { manifest, model, received: downloaded.received };
  } finally {
    await downloaded.release();
  }
}

/** Before anything is downloaded: of large files the list says the sha256. */
async function assertLargeFilesLocked(
  { name, modelLock, updateLock, locked }: PullRequest,
  { dtype }: ChosenFiles,
  files: readonly HubFile[],
): Promise<void> {
  if (modelLock === undefined || updateLock === true || locked === undefined) return;
  const large = files.flatMap(({ path, checksum }) =>
    checksum.algorithm === 'sha256' && locked.files[path] !== undefined ? [[path, checksum.value] as const] : [],
  );
  await checkLock(modelLock, { name, dtype, hashes: { ...locked.files, ...Object.fromEntries(large) } });
}

async function assertLocked(
  { name, modelLock, updateLock }: PullRequest,
  made: ModelManifest,
): Promise<ManifestedModel> {
  const model = manifested(made, made.dtype);
  if (model === undefined) throw new Error(`the manifest of ${name} lacks its own graph`);
  if (modelLock !== undefined && updateLock !== true) {
    await checkLock(modelLock, { name, dtype: model.dtype, hashes: model.hashes });
  }
  return model;
}

async function makeManifest(
  model: HubModel,
  name: string,
  { dtype, graph }: ChosenFiles,
  { files }: DownloadedModel,
): Promise<ModelManifest> {
  const locate = (wanted: string): string | undefined => files.find((file) => file.name === wanted)?.path;
  const inOrder = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  const entry = ({ name: file, bytes, sha256 }: VerifiedFile) => [file, { bytes, sha256 }] as const;
  const { kind, dimensions } = await readStatedModel(locate);
  return {
    name,
    ...(kind === 'reranker' ? { kind } : {}),
    revision: model.commit,
    license: model.license,
    dimensions,
    dtype,
    graph,
    files: Object.fromEntries(inOrder.map(entry)),
  };
}

/** The files of another precision of the same revision stay. Looked up only now: another pull may have put them there meanwhile. */
async function keepOthers(
  made: ModelManifest,
  directory: string,
): Promise<{ readonly manifest: ModelManifest; readonly kept: readonly PlacedFile[] }> {
  const here = await readManifest(directory).catch(() => undefined);
  const others = Object.entries(here?.files ?? {}).filter(([name]) => made.files[name] === undefined);
  const none = { manifest: made, kept: [] };
  if (here === undefined || here.revision !== made.revision || others.length === 0) return none;
  try {
    await verifyManifest(directory, { ...here, files: Object.fromEntries(others) });
  } catch (error) {
    if (error instanceof ModelError) return none;
    throw error;
  }
  const kept = others.map(([name]) => ({ name, path: join(directory, name), how: 'link' as const }));
  return { manifest: withFilesOf(here, made), kept };
}
