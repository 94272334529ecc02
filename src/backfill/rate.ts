const WINDOW_MS = 15_000;

/** Rows per second over the last seconds, so that an ETA follows what happens now and one slow batch does not throw it. */
export function createRate(now: () => number = Date.now): { add(rows: number): void; perSecond(): number } {
  const samples: { at: number; rows: number }[] = [];
  const start = now();
  return {
    add(rows) {
      samples.push({ at: now(), rows });
      while ((samples[0]?.at ?? Number.POSITIVE_INFINITY) < now() - WINDOW_MS) samples.shift();
    },
    perSecond() {
      const elapsed = Math.min(WINDOW_MS, now() - start) / 1000;
      const rows = samples.reduce((sum, sample) => sum + sample.rows, 0);
      return elapsed === 0 ? 0 : rows / elapsed;
    },
  };
}
