import { setTimeout as sleep } from 'node:timers/promises';

/** Shorter rests than this are saved up: a timer of Node is no better than a millisecond or two. */
const SHORTEST_REST_MS = 200;
/** A rest is looked at again so often: the share may have grown. */
const LOOK_MS = 200;

export interface Pacer {
  /** Waits until a piece of work may begin, or `signal` aborts; `leave` ends the piece. */
  enter(): Promise<void>;
  leave(): void;
  /** Time from here to `go` is no work. */
  stop(): void;
  go(): void;
}

export interface PacerOptions {
  /** Work of work and rest together, 0..1. */
  readonly share: () => number;
  readonly signal: AbortSignal | undefined;
  readonly now?: () => number;
  readonly wait?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
}

/**
 * Keeps work to a share of the time: what has been worked is rested for, w · (1/share − 1), with nothing at work meanwhile. A piece that has
 * begun is never interrupted, so a rest may come late, but none is lost.
 */
export function createPacer({ share, signal, now = () => performance.now(), wait = pause }: PacerOptions): Pacer {
  let working = 0;
  let stopped = 0;
  let since = 0;
  /** Milliseconds of rest that are due. */
  let due = 0;
  let resting: Promise<void> | undefined;

  function lap(): void {
    const at = now();
    if (working > stopped) due += (at - since) * (1 / share() - 1);
    if (share() === 1) due = 0;
    since = at;
  }

  async function rest(): Promise<void> {
    // The pieces that were begun before end first: a rest beside them would be none.
    while (working > 0 && signal?.aborted !== true) await wait(10, signal);
    lap();
    while (due > 0 && share() < 1 && signal?.aborted !== true) {
      const slice = Math.min(due, LOOK_MS);
      await wait(slice, signal);
      due -= slice;
    }
    due = 0;
    since = now();
  }

  return {
    async enter() {
      lap();
      while (signal?.aborted !== true && (resting !== undefined || due >= SHORTEST_REST_MS)) {
        resting ??= rest().finally(() => {
          resting = undefined;
        });
        await resting;
        lap();
      }
      working += 1;
    },
    leave() {
      lap();
      working -= 1;
    },
    stop() {
      lap();
      stopped += 1;
    },
    go() {
      lap();
      stopped -= 1;
    },
  };
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
