import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { OnProgress } from '../../progress.ts';
import { sha256OfFile, sizeOf } from '../manifest.ts';
import { checksumOf } from './checksum.ts';
import { assertSpace, makeDirectory } from './disk-space.ts';
import { downloadFile } from './download-file.ts';
import type { HubSettings } from './hub-request.ts';
import type { HubFile, HubModel } from './model-info.ts';
import { claimPartial, isAbandoned, type PartialFile } from './partial-file.ts';
import type { PlacedFile } from './place-model.ts';

export interface VerifiedFile extends PlacedFile {
  readonly bytes: number;
  readonly sha256: string;
}

export interface DownloadedModel {
  readonly files: readonly VerifiedFile[];
  /** Bytes that came over the network in this run. */
  readonly received: number;
  /** Leaves to the next run what was not moved away. */
  release(): Promise<void>;
}

export interface DownloadModelOptions {
  /** Where parts of files are kept until all are complete. */
  readonly downloads: string;
  /** The model's own directory: files that are there and the same are taken, whatever its manifest says. */
  readonly existing: string;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal | undefined;
  readonly retryDelayMs: number | undefined;
}

/** Downloads files one after the other and verifies each; parts stay for the next run when it fails. */
export async function downloadModel(
  hub: HubSettings,
  model: Pick<HubModel, 'repo' | 'commit'>,
  files: readonly HubFile[],
  options: DownloadModelOptions,
): Promise<DownloadedModel> {
  await makeDirectory(model.repo, options.downloads);
  const claimed = new Map<HubFile, PartialFile>();
  const release = async (): Promise<void> => {
    for (const partial of claimed.values()) await partial.release();
  };
  try {
    const verified: VerifiedFile[] = [];
    for (const file of files) {
      const taken = await takeExisting(file, options.existing);
      if (taken !== undefined) verified.push(taken);
      else claimed.set(file, await claimPartial(join(options.downloads, partialName(file))));
    }
    await assertSpace(options.downloads, await missingBytes(claimed));
    const received = await downloadAll(hub, model, claimed, options, verified);
    return { files: verified, received, release };
  } catch (error) {
    await release();
    throw error;
  }
}

async function downloadAll(
  hub: HubSettings,
  model: Pick<HubModel, 'repo' | 'commit'>,
  claimed: ReadonlyMap<HubFile, PartialFile>,
  { onProgress, signal, retryDelayMs }: DownloadModelOptions,
  verified: VerifiedFile[],
): Promise<number> {
  const progress = reportBytes([...claimed.keys()], await missingBytes(claimed), onProgress);
  let received = 0;
  for (const [file, { path }] of claimed) {
    signal?.throwIfAborted();
    received += await downloadFile(hub, model, file, path, {
      signal,
      retryDelayMs,
      onBytes: (have) => progress(file, have),
      onNotice: (message) => onProgress({ kind: 'warning', message }),
    });
    progress(file, file.bytes);
    verified.push({ name: file.path, path, how: 'move', bytes: file.bytes, sha256: await sha256Of(file, path) });
  }
  return received;
}

/** Tells after each piece how far all files are. */
function reportBytes(
  files: readonly HubFile[],
  missing: number,
  onProgress: OnProgress,
): (file: HubFile, have: number) => void {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const started = performance.now();
  const before = total - missing;
  return (file, bytes) => {
    const earlier = files.slice(0, files.indexOf(file)).reduce((sum, each) => sum + each.bytes, 0);
    const done = earlier + bytes;
    const rate = Math.max(0, done - before) / Math.max(0.001, (performance.now() - started) / 1000);
    const etaSeconds = rate > 0 ? (total - done) / rate : undefined;
    onProgress({ kind: 'download', file: file.path, done, total, rate, etaSeconds });
  };
}

async function missingBytes(claimed: ReadonlyMap<HubFile, PartialFile>): Promise<number> {
  let missing = 0;
  for (const [file, { path }] of claimed) missing += Math.max(0, file.bytes - ((await sizeOf(path)) ?? 0));
  return missing;
}

async function takeExisting(file: HubFile, existing: string): Promise<VerifiedFile | undefined> {
  const path = join(existing, file.path);
  if ((await sizeOf(path)) !== file.bytes) return undefined;
  if ((await checksumOf(path, file.bytes, file.checksum.algorithm)) !== file.checksum.value) return undefined;
  return { name: file.path, path, how: 'link', bytes: file.bytes, sha256: await sha256Of(file, path) };
}

/** Of a verified file. */
function sha256Of({ checksum }: HubFile, path: string): Promise<string> | string {
  return checksum.algorithm === 'sha256' ? checksum.value : sha256OfFile(path);
}

/** With the checksum in its name, what was begun at another revision is never gone on with. */
function partialName({ path, checksum }: HubFile): string {
  return `${path.replaceAll('/', '__')}.${checksum.value}.incomplete`;
}

/** Removes parts of files of a model that is complete now, of other revisions too, and folders that are empty then; what a process works on stays. */
export async function removeParts(downloads: string): Promise<void> {
  for (const name of await readdir(downloads).catch(() => [])) {
    const path = join(downloads, name);
    if (name.endsWith('.incomplete') || (await isAbandoned(path))) await rm(path, { force: true });
  }
  for (const folder of [downloads, join(downloads, '..'), join(downloads, '../..')]) {
    await rmdir(folder).catch(() => undefined);
  }
}
