import pRetry from 'p-retry';
import { ProviderError } from '../../errors.ts';
import { openScope, pause } from './abort-scope.ts';
import { RequestFailure } from './request-failure.ts';

export interface RetryLimits {
  /** Attempts, the first one included, for failures that may pass. A busy service is asked until the deadline. */
  readonly attempts: number;
  /** From the first attempt that was really sent. */
  readonly deadlineMs: number;
  /** Before the second attempt; doubled each time, half of it at random. */
  readonly firstPauseMs: number;
}

export interface Attempt {
  readonly isRetry: boolean;
  /** Aborts with the caller's signal and at the deadline. */
  readonly signal: AbortSignal;
  /** Starts the deadline's clock, once: what waits behind others is not late yet. */
  started(): void;
}

const LONGEST_PAUSE_MS = 30_000;

/**
 * The one place where requests are sent again. Throws a ProviderError that is never `retryable`, because everything was tried here,
 * or what is no RequestFailure as it was: the caller's abort, a budget that is reached. `too-large` comes out as the RequestFailure.
 */
export async function sendWithRetries<T>(
  send: (attempt: Attempt) => Promise<T>,
  limits: RetryLimits,
  outer: AbortSignal,
): Promise<T> {
  const scope = openScope(outer);
  const late = noAnswer(limits);
  const deadline = openDeadline(limits.deadlineMs, () => scope.abort(late));
  const tries = { counted: 0, all: 0 };
  let last: RequestFailure | undefined;
  try {
    return await pRetry((attempt) => send({ isRetry: attempt > 1, signal: scope.signal, started: deadline.start }), {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 0,
      shouldRetry: async ({ error }) => {
        if (!(error instanceof RequestFailure) || error === late) return false;
        last = error;
        tries.all += 1;
        const wait = nextPause(error, tries, limits, deadline.leftMs());
        if (wait === undefined) return false;
        await pause(wait, scope.signal);
        return true;
      },
    });
  } catch (error) {
    if (outer.aborted) throw outer.reason;
    if (!(error instanceof RequestFailure) || error.details.kind === 'too-large') throw error;
    throw providerError(error === late ? (last ?? late) : error, tries.all, limits);
  } finally {
    deadline.end();
    scope.end();
  }
}

/** Milliseconds before the next attempt; undefined where there is none. */
function nextPause(
  { details }: RequestFailure,
  tries: { counted: number; readonly all: number },
  limits: RetryLimits,
  leftMs: number,
): number | undefined {
  if (details.kind !== 'passing' && details.kind !== 'congested') return undefined;
  if (details.kind === 'passing') tries.counted += 1;
  if (tries.counted >= limits.attempts) return undefined;
  const backoff = Math.min(LONGEST_PAUSE_MS, limits.firstPauseMs * 2 ** (tries.all - 1)) * (0.5 + Math.random() / 2);
  // "At once", said again and again, would be as many requests as the network carries.
  const wait = details.retryAfterMs || backoff;
  return wait < leftMs ? wait : undefined;
}

interface Deadline {
  start(): void;
  leftMs(): number;
  end(): void;
}

function openDeadline(milliseconds: number, onLate: () => void): Deadline {
  let timer: NodeJS.Timeout | undefined;
  let at = Number.POSITIVE_INFINITY;
  return {
    start() {
      if (timer !== undefined) return;
      at = performance.now() + milliseconds;
      timer = setTimeout(onLate, milliseconds);
    },
    leftMs: () => at - performance.now(),
    end: () => clearTimeout(timer),
  };
}

function noAnswer(limits: RetryLimits): RequestFailure {
  return new RequestFailure(`The service gave no answer within ${limits.deadlineMs / 1000} s.`, {
    kind: 'passing',
    code: 'service_silent',
    hint: 'Check EMBEDDING_BASE_URL and the service, or raise EMBEDDING_DEADLINE.',
    scope: 'service',
  });
}

function providerError(failure: RequestFailure, attempts: number, limits: RetryLimits): ProviderError {
  const { code, hint, scope, status, kind } = failure.details;
  const tried =
    kind === 'passing' || kind === 'congested'
      ? ` Given up after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'} (REEMBED_MAX_RETRIES=${limits.attempts}, EMBEDDING_DEADLINE=${limits.deadlineMs / 1000}s).`
      : '';
  return new ProviderError(code, failure.message + tried, {
    retryable: false,
    scope,
    hint,
    ...(status === undefined ? {} : { context: { status, attempts } }),
  });
}
