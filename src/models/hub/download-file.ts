import { rm } from 'node:fs/promises';
import pRetry from 'p-retry';
import { ModelError } from '../../errors.ts';
import { checksumOf } from './checksum.ts';
import { HubError } from './hub-errors.ts';
import type { HubSettings } from './hub-request.ts';
import type { HubFile, HubModel } from './model-info.ts';
import { readRest } from './read-rest.ts';

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
