import { percentile } from './statistics.ts';

/** How late the event loop was while something ran. */
export interface LoopDelay {
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly samples: number;
}

const INTERVAL_MS = 10;

/** Runs `work` while a timer ticks every 10 ms; the delays of its ticks are added to `delays`. */
export async function watchLoop<T>(delays: number[], work: () => Promise<T>): Promise<T> {
  let last = performance.now();
  const tick = (): void => {
    const now = performance.now();
    delays.push(...delaysOf(now - last, INTERVAL_MS));
    last = now;
  };
  const timer = setInterval(tick, INTERVAL_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    // What blocked the loop to the very end has kept the last tick from coming.
    tick();
  }
}

/**
 * The delays that `gap` milliseconds between two ticks stand for. A loop that is blocked for a second misses a hundred
 * ticks, not one: each of them would have come late, and counts.
 */
export function delaysOf(gap: number, interval: number): readonly number[] {
  const delays = [Math.max(0, gap - interval)];
  for (let late = gap - 2 * interval; late > 0; late -= interval) delays.push(late);
  return delays;
}

export function summarizeDelays(delays: readonly number[]): LoopDelay {
  return {
    p50: percentile(delays, 0.5),
    p99: percentile(delays, 0.99),
    max: delays.reduce((longest, delay) => Math.max(longest, delay), 0),
    samples: delays.length,
  };
}
