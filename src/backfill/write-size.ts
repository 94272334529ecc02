/** So many rows at least, as far as the target decides: a statement for each row would cost more than it spares. */
const FEWEST_ROWS = 10;
const WEIGHT = 0.3;
/** A statement of much fewer rows than asked, the last of a window, tells little of the others. */
const TELLING_SHARE = 0.5;
/** From one statement to the next; the way down is not bounded. */
const GROWTH = 1.5;
/** After a statement that ran out of time. */
const CAUTIOUS_GROWTH = 1.1;

export interface WriteSizeOptions {
  /** Milliseconds that a statement should take. */
  readonly targetMs: number;
  /** Rows of a statement at most. */
  readonly max: number;
}

export interface WriteSize {
  /** Rows for the next statement. */
  rows(): number;
  wrote(rows: number, milliseconds: number): void;
  /** A statement of so many rows was cancelled: the next ones have half of them at most, and slowly more from there. */
  timedOut(rows: number): void;
}

/**
 * How many rows a statement that writes gets, so that it takes about the target: by the time that a row takes, smoothed. Begins with the most,
 * which is right where nothing is slow. Pure but for its memory.
 */
export function createWriteSize({ targetMs, max }: WriteSizeOptions): WriteSize {
  const least = Math.min(FEWEST_ROWS, max);
  let size = max;
  let perRow: number | undefined;
  /** What ran out of time lately bounds the size, lower than the target ever does. */
  let ceiling = max;

  const whole = (): number => Math.max(1, Math.floor(size));
  return {
    rows: whole,
    wrote(rows, milliseconds) {
      if (rows < whole() * TELLING_SHARE) return;
      const seen = milliseconds / rows;
      perRow = perRow === undefined ? seen : perRow + WEIGHT * (seen - perRow);
      const wanted = Math.min(max, Math.max(least, targetMs / Math.max(perRow, Number.EPSILON)));
      const bounded = ceiling < max;
      ceiling = Math.min(max, Math.max(ceiling * CAUTIOUS_GROWTH, Math.min(ceiling + 1, max)));
      size = Math.min(wanted, ceiling, Math.max(size * (bounded ? CAUTIOUS_GROWTH : GROWTH), size + 1));
    },
    timedOut(rows) {
      ceiling = Math.max(1, Math.min(ceiling, rows / 2));
      size = Math.min(size, ceiling);
    },
  };
}
