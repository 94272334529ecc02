import pRetry from 'p-retry';
import { HubError } from './hub-errors.ts';

const RETRIES = 3;

/** Asks again where a server answered that it is busy. One that cannot be reached at all is told at once: waiting is no way on. */
export function withRetries<T>(
  work: () => Promise<T>,
  {
    signal,
    retryDelayMs = 1000,
  }: { readonly signal?: AbortSignal | undefined; readonly retryDelayMs?: number | undefined },
): Promise<T> {
  return pRetry(work, {
    retries: RETRIES,
    minTimeout: retryDelayMs,
    randomize: true,
    shouldRetry: ({ error }) => error instanceof HubError && error.retryable && error.code !== 'hub_unreachable',
    ...(signal === undefined ? {} : { signal }),
  });
}
