/** Statements of fewer rows say more about the way to the server than about its health. */
const FEWEST_ROWS = 50;
const WEIGHT = 0.2;
/** Statements before the first opinion. */
const WARM_UP = 10;
/** By so much a statement the usual rises on its own: it doubles in 700. A table that grows slower for good is not throttled for good. */
const DRIFT = 1.001;

export interface Latency {
  wrote(rows: number, milliseconds: number): void;
  /** How many times the usual a row takes at present; undefined before there is a usual. */
  ratio(): number | undefined;
}

/** The time that a row takes to write, smoothed, against the best that was seen. */
export function createLatency(): Latency {
  let seen = 0;
  let smooth: number | undefined;
  let usual = Number.POSITIVE_INFINITY;
  return {
    wrote(rows, milliseconds) {
      if (rows < FEWEST_ROWS) return;
      const perRow = milliseconds / rows;
      smooth = smooth === undefined ? perRow : smooth + WEIGHT * (perRow - smooth);
      seen += 1;
      if (seen >= WARM_UP) usual = Math.min(usual * DRIFT, smooth);
    },
    ratio: () => (smooth === undefined || usual === Number.POSITIVE_INFINITY ? undefined : smooth / usual),
  };
}
