import type { RemoteSettings } from '../../config/types.ts';
import { ConfigError } from '../../errors.ts';
import type { UsageLedger } from '../types.ts';
import { AdaptiveConcurrency } from './concurrency.ts';
import type { Connection, JsonAnswer, OutgoingRequest } from './connection.ts';
import { type Outage, openOutage } from './outage.ts';
import { RequestFailure } from './request-failure.ts';
import { type Attempt, sendWithRetries } from './send-with-retries.ts';

/** What a request is expected to take, and how its answer says what it took. */
export interface Cost {
  /** By estimate. */
  readonly tokens: number;
  counted(answer: JsonAnswer): number | undefined;
}

export interface SendOptions {
  /** Without it the ledger hears nothing of the request. */
  readonly cost?: Cost;
  /** Told a refusal; true sends what is made now instead. */
  readonly adapt?: (failure: RequestFailure, body: unknown) => boolean;
  readonly signal: AbortSignal;
}

/** All requests of a provider go through here: together they keep to the concurrency, the ledger and the one retry loop. */
export interface Sender {
  /**
   * The answer to the request that `make` makes, anew for each attempt.
   *
   * @throws as `sendWithRetries`
   */
  send(make: () => OutgoingRequest, options: SendOptions): Promise<JsonAnswer>;
}

export interface SenderOptions {
  /** Attempts a request, the first one included. */
  readonly attempts: number;
  readonly ledger: UsageLedger;
  /** Told what is waited for and when it is back; without it a service that stops answering is not waited for. */
  readonly onOutage?: ((message: string) => void) | undefined;
}

/** What the attempts of all requests share. */
interface Shared {
  readonly connection: Connection;
  readonly concurrency: AdaptiveConcurrency;
  readonly ledger: UsageLedger;
  readonly deadlineMs: number;
  readonly outage: Outage | undefined;
}

/** A hundred and twentieth of the time for a request: half a second of a minute. */
const PAUSE_SHARE = 120;

export function createSender(connection: Connection, settings: RemoteSettings, options: SenderOptions): Sender {
  const { deadlineMs, requestTimeoutMs, maxRequests } = settings;
  const { ledger, attempts, onOutage } = options;
  const outage = onOutage && openOutage(onOutage);
  const shared = { connection, concurrency: new AdaptiveConcurrency(maxRequests), ledger, deadlineMs, outage };
  const limits = { attempts, deadlineMs, firstPauseMs: requestTimeoutMs / PAUSE_SHARE, outage };
  return {
    send: (make, { cost, adapt, signal }) =>
      sendWithRetries(
        async (attempt) => {
          for (;;) {
            const request = make();
            try {
              return await attemptOnce(shared, request, cost, attempt);
            } catch (error) {
              if (!(error instanceof RequestFailure) || adapt?.(error, request.body) !== true) throw error;
            }
          }
        },
        limits,
        signal,
      ),
  };
}

async function attemptOnce(
  { connection, concurrency, ledger, deadlineMs, outage }: Shared,
  request: OutgoingRequest,
  cost: Cost | undefined,
  attempt: Attempt,
): Promise<JsonAnswer> {
  const permit = await concurrency.acquire(attempt.signal, attempt.isRetry);
  let outcome: 'answered' | 'failed' | 'congested' = 'failed';
  let pauseMs: number | undefined;
  try {
    if (cost !== undefined) await ledger.admit(cost.tokens, attempt.signal);
    attempt.started();
    const answer = await paidFor(() => connection(request, attempt.signal), cost, ledger);
    outcome = 'answered';
    outage?.answered();
    return answer;
  } catch (error) {
    if (error instanceof RequestFailure && error.details.kind === 'congested') {
      outcome = 'congested';
      pauseMs = error.details.retryAfterMs;
    }
    throw error;
  } finally {
    // A pause that no request would live through holds up nobody: each hears of it for itself and gives up at once.
    permit.release(outcome, pauseMs !== undefined && pauseMs < deadlineMs ? pauseMs : 0);
  }
}

/** Settles with the ledger whatever became of the request: one whose answer was lost may have been charged. */
async function paidFor(
  ask: () => Promise<JsonAnswer>,
  cost: Cost | undefined,
  ledger: UsageLedger,
): Promise<JsonAnswer> {
  if (cost === undefined) return ask();
  let tokens = 0;
  try {
    const answer = await ask();
    tokens = cost.counted(answer) ?? cost.tokens;
    return answer;
  } catch (error) {
    const mayCost = error instanceof RequestFailure ? error.details.mayCost === true : !(error instanceof ConfigError);
    if (mayCost) tokens = cost.tokens;
    throw error;
  } finally {
    await ledger.settle(cost.tokens, { requests: 1, tokens });
  }
}
