import { describe, expect, test } from 'vitest';
import { createForecast, type WindowWork } from '../../../src/backfill/forecast.ts';

const WINDOW_ROWS = 1_000;
const TOKENS_PER_SECOND = 30_000;
const BYTES_PER_TOKEN = 4;

interface Seen {
  readonly left: number;
  readonly eta: number;
  readonly byRows: number;
}

interface Machine {
  /** Tokens of a text at most. */
  readonly maxTokens?: number;
  /** Speed of a window against the usual one. */
  readonly speed?: (window: number) => number;
  /** The sample, in key order; every 50th text unless said. */
  readonly sample?: readonly number[];
  readonly countsTokens?: boolean;
}

/** Embeds texts of these sizes, window after window, on a machine that makes so many tokens a second: what the forecast said, and what was true. */
function simulate(sizes: readonly number[], machine: Machine = {}): readonly Seen[] {
  const { maxTokens, speed = () => 1, countsTokens = true } = machine;
  let clock = 1_000_000;
  const forecast = createForecast(maxTokens, () => clock);
  const windows = Array.from({ length: Math.ceil(sizes.length / WINDOW_ROWS) }, (_, i) =>
    windowOf(sizes.slice(i * WINDOW_ROWS, (i + 1) * WINDOW_ROWS), maxTokens),
  );
  const ends = windows.map((window, i) => {
    clock += (window.tokens / (TOKENS_PER_SECOND * speed(i))) * 1000;
    return clock;
  });
  clock = 1_000_000;
  forecast.learnSizes(machine.sample ?? sizes.filter((_, i) => i % 50 === 0));
  let done = 0;
  return windows.map((window, i) => {
    clock = ends[i] ?? clock;
    done += window.rows;
    forecast.add(countsTokens ? window : { ...window, tokens: 0, truncated: 0 });
    const { rowRate, etaSeconds } = forecast.look(sizes.length - done);
    const left = ((ends.at(-1) ?? clock) - clock) / 1000;
    return { left, eta: etaSeconds ?? Number.NaN, byRows: (sizes.length - done) / rowRate };
  });
}

function windowOf(sizes: readonly number[], maxTokens = Number.POSITIVE_INFINITY): WindowWork {
  const tokens = sizes.map((size) => Math.ceil(size / BYTES_PER_TOKEN) + 2);
  return {
    rows: sizes.length,
    written: sizes.length,
    sizes,
    tokens: tokens.reduce((sum, count) => sum + Math.min(maxTokens, count), 0),
    truncated: tokens.filter((count) => count > maxTokens).length,
  };
}

function errorOf({ left, eta }: Seen): number {
  return Math.abs(eta - left) / left;
}

/** Half the table short texts, half long ones; of each about the given size. */
function shortThenLong(rows: number, short: number, long: number): readonly number[] {
  return Array.from({ length: rows }, (_, i) => (i < rows / 2 ? short : long) + ((i * 37) % 41));
}

/** From the third window on, and while there are seconds left at all. */
function judged(seen: readonly Seen[]): readonly Seen[] {
  return seen.slice(2).filter(({ left }) => left > 5);
}

describe('what is left, where short texts come before long ones', () => {
  const sizes = shortThenLong(40_000, 100, 1_500);

  test('is known within 10%, where rows a second are wrong by a factor of five', () => {
    const seen = judged(simulate(sizes));
    expect(Math.max(...seen.map(errorOf))).toBeLessThan(0.1);
    const [first] = seen;
    expect((first?.left ?? 0) / (first?.byRows ?? 1)).toBeGreaterThan(5);
  });

  test('goes down, window after window, by about the time that passes', () => {
    const seen = judged(simulate(sizes));
    for (const [i, { eta, left }] of seen.entries()) {
      const before = seen[i - 1];
      if (before === undefined) continue;
      const passed = before.left - left;
      expect(before.eta - eta).toBeGreaterThan(-0.02 * before.eta);
      expect(before.eta - eta).toBeLessThan(passed + 0.05 * before.eta);
    }
  });

  test('knows that texts beyond the limit of the model cost no more than the limit', () => {
    const long = shortThenLong(40_000, 400, 40_000);
    const seen = judged(simulate(long, { maxTokens: 512 }));
    expect(Math.max(...seen.map(errorOf))).toBeLessThan(0.1);
  });

  test('is known by bytes where the provider counts no tokens', () => {
    const seen = judged(simulate(sizes, { countsTokens: false }));
    expect(Math.max(...seen.map(errorOf))).toBeLessThan(0.15);
  });
});

test('without a sample the rest is taken to be like the windows before', () => {
  const even = Array.from({ length: 20_000 }, () => 600);
  expect(Math.max(...judged(simulate(even, { sample: [] })).map(errorOf))).toBeLessThan(0.05);
});

test('one window that takes three times as long moves it by less than a tenth', () => {
  const even = Array.from({ length: 60_000 }, () => 600);
  const seen = judged(simulate(even, { speed: (window) => (window === 30 ? 1 / 3 : 1) }));
  for (const [i, { eta }] of seen.entries()) {
    const before = seen[i - 1]?.eta ?? eta;
    expect(Math.abs(eta - before)).toBeLessThan(before * 0.1 + 6);
  }
});

test('a machine that becomes half as fast is believed after four minutes', () => {
  const even = Array.from({ length: 200_000 }, () => 600);
  const seen = simulate(even, { speed: (window) => (window < 50 ? 1 : 0.5) });
  // A window takes ten seconds from then on.
  const later = seen[50 + 24];
  expect(later === undefined ? 1 : errorOf(later)).toBeLessThan(0.15);
});

test('tells rows and tokens a second, and nothing of what it does not know', () => {
  let clock = 0;
  const forecast = createForecast(undefined, () => clock);
  expect(forecast.look(1_000)).toEqual({ rowRate: 0, tokenRate: undefined, etaSeconds: undefined });
  clock = 2_000;
  const window = { rows: 500, written: 400, sizes: Array.from({ length: 500 }, () => 40), tokens: 5_000, truncated: 0 };
  forecast.add(window);
  expect(forecast.look(1_000)).toEqual({ rowRate: 200, tokenRate: 2_500, etaSeconds: undefined });
  expect(forecast.look(0).etaSeconds).toBe(0);
});

test('the first window, which waits for threads that start, does not count for what is left', () => {
  let clock = 0;
  const forecast = createForecast(undefined, () => clock);
  const window = { rows: 100, written: 100, sizes: Array.from({ length: 100 }, () => 40), tokens: 1_000, truncated: 0 };
  const etas = [20_000, 21_000, 22_000, 23_000].map((end) => {
    clock = end;
    forecast.add(window);
    return forecast.look(1_000).etaSeconds;
  });
  expect(etas).toEqual([undefined, undefined, expect.closeTo(10, 5), expect.closeTo(10, 5)]);
});
