import pRetry, { AbortError } from 'p-retry';
import { isPassingDatabaseError } from '../db/sqlstate.ts';
import { messageOf, ProviderError } from '../errors.ts';

export interface RetryOptions {
  /** Attempts in all, the first one included. */
  readonly attempts: number;
  readonly signal: AbortSignal | undefined;
  readonly onRetry?: (message: string) => void;
}

/** True for errors after which the same batch may succeed: lost connections, lock conflicts, providers that say so. */
export function isPassing(error: unknown): boolean {
  if (error instanceof ProviderError) return error.retryable;
  return isPassingDatabaseError(error);
}

/**
 * Runs `work` again, with growing pauses, on errors that can pass and on no others; the last error is thrown as it was. A signal that aborts
 * ends the tries, but a result that came is given back all the same.
 */
export async function withRetries<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  let outcome: { readonly result: T } | undefined;
  try {
    await pRetry(
      async (attempt) => {
        outcome = { result: await attemptOnce(work, attempt, options) };
      },
      {
        retries: Math.max(0, options.attempts - 1),
        minTimeout: 200,
        maxTimeout: 5_000,
        factor: 2,
        randomize: true,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
    );
  } catch (error) {
    if (outcome === undefined) throw error;
  }
  if (outcome === undefined) throw new Error('a try ended without result and without error');
  return outcome.result;
}

async function attemptOnce<T>(work: () => Promise<T>, attempt: number, options: RetryOptions): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isPassing(error) || options.signal?.aborted === true) {
      throw new AbortError(error instanceof Error ? error : new Error(messageOf(error)));
    }
    if (attempt < options.attempts)
      options.onRetry?.(`Attempt ${attempt} of ${options.attempts} failed: ${messageOf(error)}`);
    throw error;
  }
}
