import { setTimeout as sleep } from 'node:timers/promises';
import { BusyError } from '../errors.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { type Pause, readHold } from '../state/pause.ts';

const POLL_MS = 1_000;
/** Who looks at the log of a run that holds shall see why. */
export const REMIND_MS = 60_000;

/** `Paused by ann@db1 since 2026-11-25 20:00:00+00: "reembed resume" goes on.` */
export function pausedText({ by, at }: Pause): string {
  return `Paused by ${by} since ${at}: "reembed resume" goes on.`;
}

/**
 * Waits while the migration is paused. Under knex it refuses instead: a deploy pipeline that waits for a person looks like one that hangs.
 *
 * @param isOver ends the wait as well: who has little time must not hold the lease meanwhile
 * @throws BusyError `paused` under knex, naming who paused it and when, `lease_lost`; InterruptedError when the signal aborts
 */
export async function waitWhilePaused(ctx: MigrationContext, isOver?: () => boolean): Promise<void> {
  const { db, definition, runtime, signal, knexLock } = ctx;
  for (let told = Number.NEGATIVE_INFINITY; ; ) {
    if (signal?.reason instanceof BusyError) throw signal.reason;
    throwIfStopped(ctx, 'fill');
    const { pause } = await readHold(db, runtime.stateSchema, definition.id);
    if (pause === null || isOver?.() === true) return;
    if (knexLock !== undefined) throw refused(definition.id, pause);
    if (performance.now() - told >= REMIND_MS) {
      told = performance.now();
      ctx.onProgress({ kind: 'notice', message: pausedText(pause) });
    }
    await sleep(POLL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}

function refused(id: string, { by, at }: Pause): BusyError {
  return new BusyError('paused', `The migration "${id}" has been paused by ${by} since ${at}, and rows are pending.`, {
    step: 'fill',
    hint: 'Run "reembed resume", then the migrations again: nothing was changed.',
    context: { by, at },
  });
}
