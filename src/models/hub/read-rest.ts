import { constants, type FileHandle, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { bytes } from '../../bytes.ts';
import { sizeOf } from '../manifest.ts';
import { explainWriteFailure } from './disk-space.ts';
import { explainFailure, HubError } from './hub-errors.ts';
import { type HubAnswer, type HubSettings, requestHub } from './hub-request.ts';
import { assertAnswered, filePath, type HubFile, type HubModel, linkedChecksum } from './model-info.ts';

export interface ReadRestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes of the file are here. */
  readonly onBytes?: ((have: number) => void) | undefined;
  /** Told of each piece how many bytes it has. */
  readonly onReceived: (count: number) => void;
}

/**
 * Asks once for what is missing of a file at `path` and puts it there.
 * @throws HubError, `retryable` where what came so far can be gone on with; ModelError `disk_full`, `download_unwritable`; the signal's reason.
 */
export async function readRest(
  hub: HubSettings,
  { repo, commit }: Pick<HubModel, 'repo' | 'commit'>,
  file: HubFile,
  path: string,
  options: ReadRestOptions,
): Promise<void> {
  let have = (await sizeOf(path)) ?? 0;
  if (have > file.bytes) have = await startAnew(path);
  if (have === file.bytes && have > 0) return;
  // Without If-Range: a commit's file never changes, and the checksum is compared at the end.
  const headers: Record<string, string> = have > 0 ? { range: `bytes=${have}-` } : {};
  const answer = await requestHub(hub, filePath(repo, commit, file.path), { headers, signal: options.signal });
  try {
    if (answer.response.status === 416 || !isContinuation(answer.response, have, file)) {
      await answer.response.body?.cancel();
      await startAnew(path);
      throw rangeRefused(file, answer);
    }
    await assertAnswered(hub, { repo, revision: commit, file: file.path }, answer);
    await assertSameFile(hub, file, answer);
    if (answer.response.status === 200 && have > 0) have = await startAnew(path);
    await append(hub, file, path, have, answer, options);
  } finally {
    answer.done();
  }
}

async function startAnew(path: string): Promise<0> {
  await rm(path, { force: true });
  return 0;
}

/** A part must begin where ours ends: put anywhere else it would spoil the file. */
function isContinuation(response: Response, have: number, file: HubFile): boolean {
  if (response.status !== 206) return true;
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '') ?? [];
  return Number(start) === have && (total === '*' || Number(total) === file.bytes);
}

function rangeRefused(file: HubFile, { response, from }: HubAnswer): HubError {
  const range = response.headers.get('content-range') ?? 'no range';
  return new HubError(
    'hub_range_refused',
    `${from.host} answered ${response.status} with ${range} of ${file.bytes} bytes.`,
    {
      retryable: true,
      hint: 'Run the same command again: the file is read from its beginning.',
    },
  );
}

/** The Hub says with each file which one it is: at another commit, or behind a mirror, it may be another than its list says. */
async function assertSameFile(
  { hubUrl }: HubSettings,
  file: HubFile,
  { response, hubHeaders }: HubAnswer,
): Promise<void> {
  const linked = hubHeaders.has('x-linked-etag') ? linkedChecksum(hubHeaders) : undefined;
  const size = hubHeaders.get('x-linked-size');
  const sameChecksum =
    linked === undefined || linked.algorithm !== file.checksum.algorithm || linked.value === file.checksum.value;
  if (sameChecksum && (size === null || Number(size) === file.bytes)) return;
  await response.body?.cancel();
  const observed = sameChecksum ? `${size} bytes` : `${linked?.algorithm} ${linked?.value}`;
  const expected = sameChecksum ? `${file.bytes} bytes` : file.checksum.value;
  throw new HubError('hub_file_differs', `${hubUrl} gives ${file.path} with ${observed}, its list says ${expected}.`, {
    retryable: false,
    hint: 'Run the same command again; behind a mirror (HF_ENDPOINT), renew its copy of the repository.',
  });
}

async function append(
  { hubUrl }: HubSettings,
  file: HubFile,
  path: string,
  start: number,
  { response, from, alive }: HubAnswer,
  { signal, onBytes, onReceived }: ReadRestOptions,
): Promise<void> {
  let have = start;
  // Never through a link that somebody laid there.
  const handle = await writing(file, path, () =>
    open(path, constants.O_WRONLY | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0)),
  );
  try {
    for await (const chunk of chunksOf(response, (error) => explainFailure(hubUrl, from, error), signal)) {
      alive();
      if (have + chunk.length > file.bytes) throw tooLong(file, from);
      await writing(file, path, () => writeAll(handle, chunk, have));
      have += chunk.length;
      onReceived(chunk.length);
      onBytes?.(have);
    }
    if (have < file.bytes) throw cutShort(file, from, have);
  } finally {
    await handle.close();
  }
}

async function* chunksOf(
  response: Response,
  explain: (error: unknown) => HubError,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response.body ?? []) yield chunk;
  } catch (error) {
    signal?.throwIfAborted();
    throw explain(error);
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, written, chunk.length - written, position + written);
    written += bytesWritten;
  }
}

async function writing<T>(file: HubFile, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw explainWriteFailure(file.path, dirname(path), cause);
  }
}

function tooLong(file: HubFile, from: URL): HubError {
  return new HubError('download_corrupt', `${from.host} sends more of ${file.path} than its ${file.bytes} bytes.`, {
    retryable: false,
    hint: 'Run the same command again; if it happens again, something between here and the Hub alters files.',
  });
}

function cutShort(file: HubFile, from: URL, have: number): HubError {
  const message = `${from.host} stopped after ${bytes(have)} of ${bytes(file.bytes)} of ${file.path}.`;
  return new HubError('download_incomplete', message, {
    retryable: true,
    hint: 'What came is kept: the same command goes on where it stopped.',
  });
}
