import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { loadRuntimeSettings } from '../../../src/config/runtime.ts';
import type { SignalName } from '../../../src/config/types.ts';
import type { SignalReading } from '../../../src/state/throttle-look.ts';
import { AT_FULL_SPEED, type Decision, decide } from '../../../src/throttle/decide.ts';
import { describeReading, SIGNALS } from '../../../src/throttle/signals.ts';

const LIMITS = loadRuntimeSettings({}).throttle.limits;
const NAMES = Object.keys(SIGNALS) as SignalName[];
const MB = 2 ** 20;

/** All signals at rest but those that are given. */
function seen(values: Partial<Record<SignalName, number | null>>): SignalReading[] {
  return NAMES.map((name) => {
    const value = values[name];
    return { name, value: value === undefined ? 0 : value, limit: LIMITS[name] ?? 0, source: '' };
  });
}

/** The decisions over a series of looks. */
function follow(...looks: Partial<Record<SignalName, number | null>>[]): Decision[] {
  const decisions: Decision[] = [];
  for (const look of looks) decisions.push(decide(decisions.at(-1) ?? AT_FULL_SPEED, seen(look)));
  return decisions;
}

const repeat = <T>(times: number, value: T): T[] => new Array<T>(times).fill(value);

describe('what a look at the database leads to', () => {
  it.each<[string, SignalName, number, Decision['level']]>([
    ['few segments wait', 'archive', 21, 'run'],
    ['half of the limit waits', 'archive', 22, 'slow'],
    ['the limit itself is no excess', 'archive', 42, 'slow'],
    ['one segment more', 'archive', 43, 'pause'],
    ['a replica of 4 s', 'replicaLag', 4, 'run'],
    ['a replica of 6 s', 'replicaLag', 6, 'slow'],
    ['a replica of 11 s', 'replicaLag', 11, 'pause'],
    ['600 MB behind', 'replicaBytes', 600 * MB, 'slow'],
    ['1.1 GB behind', 'replicaBytes', 1100 * MB, 'pause'],
    ['6 GB for a slot', 'slots', 6144 * MB, 'slow'],
    ['11 GB for a slot', 'slots', 11264 * MB, 'pause'],
    ['a third of the connections', 'connections', 33, 'slow'],
    ['most of the connections', 'connections', 80, 'pause'],
    ['WAL below the limit', 'wal', 120 * MB, 'run'],
    ['WAL above it', 'wal', 500 * MB, 'slow'],
    ['a vacuum', 'vacuum', 1, 'slow'],
    ['a transaction of five minutes', 'transaction', 300, 'run'],
    ['a transaction of a day', 'transaction', 86_400, 'slow'],
    ['writes four times as slow', 'latency', 4, 'run'],
    ['writes fifty times as slow', 'latency', 50, 'slow'],
  ])('%s', (_what, name, value, level) => {
    const [decision] = follow({ [name]: value });
    expect(decision).toMatchObject({ level, reasons: level === 'run' ? [] : [name] });
  });

  it('pauses until what was exceeded is well below its limit, then goes on slowly, and faster look by look', () => {
    const levels = follow({ archive: 100 }, { archive: 40 }, { archive: 35 }, { archive: 33 }, ...repeat(9, {}));
    expect(levels.map(({ level }) => level).slice(0, 4)).toEqual(['pause', 'pause', 'pause', 'slow']);
    const shares = levels.slice(3).map(({ share }) => share);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares[0]).toBeLessThanOrEqual(0.1);
    expect(levels.at(-1)).toEqual(AT_FULL_SPEED);
  });

  it('is not let go by one signal while it is held by another', () => {
    const [, second] = follow({ archive: 100, replicaLag: 60 }, { replicaLag: 60 });
    expect(second).toMatchObject({ level: 'pause', reasons: ['replicaLag'] });
  });

  it('never stops for what would not end sooner: it goes on at the share that is left for it', () => {
    const last = (look: Partial<Record<SignalName, number>>): number | undefined =>
      follow(...repeat(50, look)).at(-1)?.share;
    expect(last({ vacuum: 1 })).toBe(0.5);
    expect(last({ transaction: 1e6 })).toBe(0.25);
    expect(last({ latency: 1e6 })).toBe(0.25);
    expect(last({ wal: 1e12 })).toBe(0.1);
  });

  it('settles where the server writes as much WAL as it may, whoever else writes', () => {
    // What we write is in proportion to our share; the rest is others'.
    let decision = AT_FULL_SPEED;
    const rates: number[] = [];
    for (let i = 0; i < 60; i++) {
      const rate = 40 * MB + decision.share * 300 * MB;
      rates.push(rate);
      decision = decide(decision, seen({ wal: rate }));
    }
    expect(rates[0]).toBeGreaterThan(300 * MB);
    for (const rate of rates.slice(10)) {
      expect(rate).toBeLessThan(1.25 * 128 * MB);
      expect(rate).toBeGreaterThan(0.75 * 128 * MB);
    }
  });

  it('takes a signal that it does not see neither for a good one nor for a bad one', () => {
    const unseen = Object.fromEntries(NAMES.map((name) => [name, null]));
    expect(follow(unseen)).toEqual([AT_FULL_SPEED]);
    expect(follow({ ...unseen, slots: 11264 * MB })[0]).toMatchObject({ level: 'pause', reasons: ['slots'] });
  });

  it('keeps its share between the smallest and all, whatever comes', () => {
    const looks = fc.array(
      fc.record(Object.fromEntries(NAMES.map((name) => [name, fc.double({ min: 0, max: 1e13, noNaN: true })])), {
        requiredKeys: [],
      }),
    );
    fc.assert(
      fc.property(looks, (series) => {
        for (const { level, share, reasons } of follow(...series)) {
          expect(share).toBeGreaterThanOrEqual(0.1);
          expect(share).toBeLessThanOrEqual(1);
          expect(level === 'run').toBe(share === 1);
          expect(reasons.length > 0).toBe(level !== 'run');
        }
      }),
    );
  });
});

test('a reason says what was seen and what the limit is', () => {
  const text = (name: SignalName, value: number): string =>
    describeReading({ name, value, limit: LIMITS[name] ?? 0, source: '' });
  expect(text('archive', 132)).toBe('132 WAL segments wait for the archive, limit 42');
  expect(text('archive', 1)).toBe('1 WAL segment waits for the archive, limit 42');
  expect(text('replicaLag', 12.34)).toBe('a replica is 12 s behind, limit 10 s');
  expect(text('slots', 11264 * MB)).toBe('a replication slot keeps 11 GB of WAL, limit 10 GB');
  expect(text('vacuum', 1)).toBe('a vacuum works on the table');
  expect(text('latency', 7.77)).toBe('a row takes 7.8 times as long to write as before, limit 5 times');
});
