import { setTimeout as sleep } from 'node:timers/promises';
import { limitStatements } from '../db/limit-statements.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { type Pause, readHold } from '../state/pause.ts';
import { createLatency } from './latency.ts';
import { createPacer } from './pacer.ts';
import { pausedText, REMIND_MS, waitWhilePaused } from './paused.ts';
import { watchHealth } from './watch-health.ts';

const LOOK_MS = 1_000;
/** How soon a run that holds notices that it may go on. */
const HOLD_MS = 100;
/** A look that takes longer would be a burden itself. */
const LOOK_TIMEOUT_MS = 2_000;

export interface Throttle {
  /** Waits until a window may begin, or the run is to end: then it is false, where it still may not. `leave` ends the window. */
  enter(): Promise<boolean>;
  leave(): void;
  /** Waits before a statement while the database is too burdened for any; not for the operator, who lets finish what is embedded. */
  beforeWrite(): Promise<void>;
  /** Tells how long a statement of so many rows took. */
  wrote(rows: number, milliseconds: number): void;
  /** Of the time in which the run works, 0..1. */
  share(): number;
  /** Nobody waits any more: the run has failed, and its error is not to come after a long rest. */
  giveUp(): void;
  close(): Promise<void>;
}

/**
 * Keeps a backfill a good neighbour: it holds while an operator has paused it, keeps to the pace, and slows or holds while the database is
 * burdened, about once a second. On the embedded database nobody else is there, and only pause and pace count.
 *
 * @param isOver once it is true nobody waits any more: a window that was not begun is left, what is embedded already is written
 * @throws BusyError `paused` under knex
 */
export async function startThrottle(
  ctx: MigrationContext,
  target: Pick<VectorTarget, 'schema' | 'table'>,
  isOver?: () => boolean,
): Promise<Throttle> {
  const { definition, runtime } = ctx;
  await waitWhilePaused(ctx, isOver);
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, ...(ctx.signal === undefined ? [] : [ctx.signal])]);
  const latency = createLatency();
  const db = limitStatements(ctx.db, LOOK_TIMEOUT_MS);
  const watched = runtime.throttle.enabled && !ctx.db.embedded;
  const health = watched ? watchHealth(ctx, db, target, latency) : undefined;
  const share = (): number => Math.min(runtime.pace, health?.decision().share ?? 1);
  const pacer = createPacer({ share, signal });
  const operator = createOperatorWatch(ctx);
  const isStopped = (): boolean => signal.aborted || isOver?.() === true;

  async function look(): Promise<void> {
    try {
      operator.update((await readHold(db, runtime.stateSchema, definition.id)).pause);
    } catch {
      // What was last seen holds: a write that meets the same trouble says so.
    }
    await health?.look();
  }

  async function holdWhile(held: () => boolean): Promise<void> {
    if (!held() || isStopped()) return;
    pacer.stop();
    while (held() && !isStopped()) {
      await sleep(HOLD_MS);
    }
    pacer.go();
  }

  const isBurdened = (): boolean => health?.decision().level === 'pause';
  await look();
  const ticker = startTicker(look);
  return {
    async enter() {
      const held = (): boolean => operator.holds() || isBurdened();
      // A rest may outlast the moment in which everything was well.
      for (;;) {
        while (held() && !isStopped()) await sleep(HOLD_MS);
        await pacer.enter();
        if (!held() || isStopped()) return !held();
        pacer.leave();
      }
    },
    leave: () => pacer.leave(),
    beforeWrite: () => holdWhile(isBurdened),
    wrote: (rows, milliseconds) => latency.wrote(rows, milliseconds),
    share,
    giveUp: () => over.abort(),
    close: () => ticker.stop(),
  };
}

interface OperatorWatch {
  holds(): boolean;
  update(pause: Pause | null): void;
}

function createOperatorWatch({ onProgress }: Pick<MigrationContext, 'onProgress'>): OperatorWatch {
  let held = false;
  let told = 0;
  return {
    holds: () => held,
    update(pause) {
      const due = pause !== null && (!held || performance.now() - told >= REMIND_MS);
      if (due) {
        told = performance.now();
        onProgress({ kind: 'notice', message: pausedText(pause) });
      }
      if (held && pause === null) onProgress({ kind: 'notice', message: 'Resumed.' });
      held = pause !== null;
    },
  };
}

/** Looks one after the other, never two at a time. */
function startTicker(look: () => Promise<void>): { stop(): Promise<void> } {
  let stopped = false;
  let running: Promise<void> | undefined;
  const next = (): NodeJS.Timeout =>
    setTimeout(() => {
      running = look().finally(() => {
        running = undefined;
        if (!stopped) timer = next();
      });
    }, LOOK_MS);
  let timer = next();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
