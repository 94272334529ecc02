import { constants, type FileHandle, open, rm, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import pRetry from 'p-retry';
import { bytes } from '../../bytes.ts';
import { ModelError } from '../../errors.ts';
import { sizeOf } from '../manifest.ts';
import { checksumOf } from './checksum.ts';
import { explainWriteFailure } from './disk-space.ts';
import { explainFailure, HubError } from './hub-errors.ts';
import { type HubAnswer, type HubSettings, requestHub } from './hub-request.ts';
import { assertAnswered, filePath, type HubFile, type HubModel, linkedChecksum } from './model-info.ts';

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes of the file are here. */
  readonly onBytes?: (have: number) => void;
  readonly onNotice?: (message: string) => void;
  /** Before the second attempt (1,000); later pauses are longer. */
  readonly retryDelayMs?: number | undefined;
}

/** In a row without a single byte. */
const FRUITLESS_RETRIES = 5;

/**
 * Brings a file to `path`, going on after what lies there already, and compares it with size and checksum. Lost connections are
 * taken up again where they broke off. A file whose checksum is wrong is removed.
 * @returns bytes that came over the network.
 * @throws ModelError `download_corrupt`, `disk_full`, `download_unwritable`; HubError; the signal's reason when it aborts.
 */
export async function downloadFile(
  hub: HubSettings,
  model: Pick<HubModel, 'repo' | 'commit'>,
  file: HubFile,
  path: string,
  options: DownloadOptions = {},
): Promise<number> {
  const { signal, onNotice, retryDelayMs = 1000 } = options;
  let received = 0;
  let seen = 0;
  await pRetry(() => readRest(hub, model, file, path, { ...options, onReceived: (count) => (received += count) }), {
    retries: FRUITLESS_RETRIES,
    minTimeout: retryDelayMs,
    maxTimeout: 10 * retryDelayMs,
    randomize: true,
    shouldConsumeRetry: () => {
      const fruitless = received === seen;
      seen = received;
      return fruitless;
    },
    shouldRetry: ({ error, retriesLeft }) => {
      if (!(error instanceof HubError && error.retryable)) return false;
      if (retriesLeft > 0) onNotice?.(`${file.path}: ${error.message} Trying again`);
      return true;
    },
    ...(signal === undefined ? {} : { signal }),
  });
  await assertContent(model, file, path);
  return received;
}

interface RestOptions extends DownloadOptions {
  readonly onReceived: (count: number) => void;
}

async function readRest(
  hub: HubSettings,
  { repo, commit }: Pick<HubModel, 'repo' | 'commit'>,
  file: HubFile,
  path: string,
  options: RestOptions,
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
  await truncate(path, 0);
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
  { signal, onBytes, onReceived }: RestOptions,
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

async function assertContent({ repo }: Pick<HubModel, 'repo'>, file: HubFile, path: string): Promise<void> {
  const { algorithm, value } = file.checksum;
  const observed = await checksumOf(path, file.bytes, algorithm);
  if (observed === value) return;
  await rm(path, { force: true });
  throw new ModelError(
    'download_corrupt',
    `${file.path} of ${repo} has ${algorithm} ${observed}, the Hub says ${value}: it was removed.`,
    {
      hint: 'Run the same command again; if it happens again, something between here and the Hub alters files.',
      context: { file: file.path, observed, expected: value },
    },
  );
}
