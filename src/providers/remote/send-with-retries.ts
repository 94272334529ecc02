import pRetry from 'p-retry';
import { ProviderError } from '../../errors.ts';
import { openScope, pause } from './abort-scope.ts';
import { isOutage, type Outage } from './outage.ts';
import { RequestFailure } from './request-failure.ts';

export interface RetryLimits {
  /** Attempts, the first one included, for failures that may pass. A busy service is asked until the deadline. */
  readonly attempts: number;
  /** From the first attempt that was really sent. */
  readonly deadlineMs: number;
  /** Before the second attempt; doubled each time, half of it at random. */
  readonly firstPauseMs: number;
  /** Where a service that has answered before is waited for until the deadline, whatever `attempts` says. */
  readonly outage?: Outage | undefined;
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
  const tries: Tries = { counted: 0, all: 0, answersBefore: undefined };
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

interface Tries {
  counted: number;
  all: number;
  /** Answers that the service had given to anybody when this request failed last. */
  answersBefore: number | undefined;
}

/** Milliseconds before the next attempt; undefined where there is none. */
function nextPause(failure: RequestFailure, tries: Tries, limits: RetryLimits, leftMs: number): number | undefined {
  const { details } = failure;
  if (details.kind !== 'passing' && details.kind !== 'congested') return undefined;
  const isWaitedOut = belongsToOutage(failure, tries, limits.outage);
  if (details.kind === 'passing' && !isWaitedOut) tries.counted += 1;
  if (tries.counted >= limits.attempts) return undefined;
  const backoff = Math.min(LONGEST_PAUSE_MS, limits.firstPauseMs * 2 ** (tries.all - 1)) * (0.5 + Math.random() / 2);
  // "At once", said again and again, would be as many requests as the network carries.
  const wait = details.retryAfterMs || backoff;
  if (!isWaitedOut) return wait < leftMs ? wait : undefined;
  if (tries.all >= limits.attempts) limits.outage?.waitFor(failure, leftMs);
  // The last attempt comes shortly before the deadline, not up to half a minute.
  if (leftMs < limits.firstPauseMs) return undefined;
  return Math.min(wait, leftMs * 0.9);
}

/**
 * True where nobody has had an answer since this request failed last. While others are answered, it is this request that the service
 * fails on, and its attempts are counted.
 */
function belongsToOutage(failure: RequestFailure, tries: Tries, outage: Outage | undefined): boolean {
  if (outage === undefined || outage.answers === 0 || !isOutage(failure)) return false;
  const isSilent = tries.answersBefore === outage.answers;
  tries.answersBefore = outage.answers;
  return isSilent;
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
