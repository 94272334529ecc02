import type { MigrationDefinition, RuntimeSettings } from '../config/types.ts';
import type { Database } from '../db/types.ts';
import { InterruptedError, type Step } from '../errors.ts';
import type { OnProgress } from '../progress.ts';

/** What every step works with. */
export interface MigrationContext {
  readonly db: Database;
  readonly definition: MigrationDefinition;
  readonly runtime: RuntimeSettings;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: OnProgress;
  /** Set under knex: the table of its lock, quoted. The lease is then kept alive after a step until the process ends, as that lock is. */
  readonly knexLock?: string;
}

/** The part of a context that reading the state takes. */
export interface StateContext extends Pick<MigrationContext, 'db' | 'definition'> {
  readonly runtime: Pick<RuntimeSettings, 'stateSchema'>;
}

/** Throws at a place where stopping loses nothing. @throws InterruptedError */
export function throwIfStopped(ctx: Pick<MigrationContext, 'signal'>, step: Step): void {
  if (ctx.signal?.aborted !== true) return;
  throw interrupted(ctx.signal, step);
}

/** The error for an aborted signal; a reason that is already an InterruptedError (a time limit) is kept. */
export function interrupted(signal: AbortSignal, step: Step): InterruptedError {
  if (signal.reason instanceof InterruptedError) return signal.reason;
  return new InterruptedError('interrupted', 'Stopped on request; everything written so far is kept.', {
    step,
    hint: 'Run the same command again: it goes on where it stopped.',
    cause: signal.reason,
  });
}
