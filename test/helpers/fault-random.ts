/** Random numbers that a failed run can be repeated with. */
export interface Random {
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(values: readonly T[]): T;
}

/** Seeded by `REEMBED_TEST_SEED`, else by the clock; prints the seed, so that what failed can be run again. */
export function seededRandom(what: string): Random {
  const given = Number(process.env.REEMBED_TEST_SEED);
  const seed = Number.isInteger(given) && given > 0 ? given : (Date.now() % 2 ** 31) + 1;
  console.info(`${what}: REEMBED_TEST_SEED=${seed}`);
  return createRandom(seed);
}

/** Mulberry32: 32 bits of state, good enough to choose moments and rows. https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    seed,
    next,
    whole,
    chance: (probability) => next() < probability,
    pick: (values) => {
      const value = values[whole(0, values.length - 1)];
      if (value === undefined) throw new RangeError('nothing to pick from');
      return value;
    },
  };
}
