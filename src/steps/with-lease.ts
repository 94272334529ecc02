import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import { BusyError, InterruptedError, type Step } from '../errors.ts';
import { interrupted, type MigrationContext } from '../state/context.ts';
import { acquireLease, type Lease } from '../state/lease.ts';
import { resolveMigration } from '../state/resolve.ts';
import { stateExists } from '../state/schema.ts';
import { upgradeState } from '../state/state-version.ts';
import { keepText } from '../state/text-column.ts';

/** What a step works with once it holds the lease: `ctx.signal` also aborts at the time limit and when the lease is lost. */
export interface Leased {
  readonly ctx: MigrationContext;
  readonly lease: Lease;
}

/**
 * Runs a step as the only one working on the migration.
 *
 * @throws BusyError when another process works on it, or took over meanwhile; PreflightError `not_expanded` before 005, `state_newer`
 */
export async function withLease<T>(
  ctx: MigrationContext,
  step: Step,
  work: (leased: Leased) => Promise<T>,
): Promise<T> {
  if (await stateExists(ctx.db, ctx.runtime.stateSchema)) await upgradeState(ctx, step);
  // The lease lives in the state, which 005 makes: without it, say so instead of naming a table that nobody knows.
  if (step !== 'expand') await keepText(ctx, (await resolveMigration(ctx)).record);
  const lease = await acquireLease(ctx, step);
  const signals = [lease.lost, ...(ctx.signal === undefined ? [] : [ctx.signal])];
  const limit = startTimeLimit(ctx, step);
  if (limit !== undefined) signals.push(limit.signal);
  const signal = AbortSignal.any(signals);
  try {
    return await work({ ctx: { ...ctx, signal }, lease });
  } catch (error) {
    // A request that was cut off says no more than that.
    if (signal.aborted && isCutOff(error)) throw stopReason(signal, step);
    // A column renamed under the running step: resolving it anew says which.
    if (step !== 'expand' && sqlStateOf(error) === SQLSTATE.undefinedColumn) await resolveMigration(ctx);
    throw error;
  } finally {
    limit?.clear();
    await (ctx.knexLock === undefined ? lease.release() : lease.park());
  }
}

function isCutOff(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || isCutOff(error.cause));
}

function stopReason(signal: AbortSignal, step: Step): Error {
  return signal.reason instanceof BusyError ? signal.reason : interrupted(signal, step);
}

function startTimeLimit(ctx: MigrationContext, step: Step): { signal: AbortSignal; clear(): void } | undefined {
  const { timeLimitMs } = ctx.runtime;
  if (timeLimitMs === undefined) return undefined;
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(
      new InterruptedError(
        'time_limit',
        `Stopped after ${timeLimitMs / 1000} s, as REEMBED_TIME_LIMIT asks; everything written so far is kept.`,
        {
          step,
          hint: 'Run the same command again: it goes on where it stopped.',
        },
      ),
    );
  }, timeLimitMs);
  timer.unref();
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}
