import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLatency } from '../../../src/throttle/latency.ts';
import { createPacer } from '../../../src/throttle/pacer.ts';

/** A clock that only a wait or a piece of work moves on. */
function makeClock() {
  const clock = { at: 0, rested: 0 };
  return {
    clock,
    now: () => clock.at,
    wait: async (milliseconds: number) => {
      clock.at += milliseconds;
      clock.rested += milliseconds;
    },
  };
}

describe('the pace', () => {
  it('makes work the asked share of the time, whatever a piece takes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 20 }),
        async (share, pieces) => {
          const { clock, now, wait } = makeClock();
          const pacer = createPacer({ share: () => share, signal: undefined, now, wait });
          let worked = 0;
          for (const piece of pieces) {
            await pacer.enter();
            clock.at += piece;
            worked += piece;
            pacer.leave();
          }
          // The last piece is rested for by whoever comes next.
          await pacer.enter();
          const due = worked * (1 / share - 1);
          expect(Math.abs(clock.rested - due)).toBeLessThanOrEqual(200 + due * 1e-9);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('counts pieces beside each other as one stretch of work, and rests when all are over', async () => {
    const { clock, now, wait: tick } = makeClock();
    const wait = async (milliseconds: number): Promise<void> => {
      await new Promise(setImmediate);
      await tick(milliseconds);
    };
    const pacer = createPacer({ share: () => 0.5, signal: undefined, now, wait });
    await pacer.enter();
    await pacer.enter();
    clock.at += 1000;
    pacer.leave();
    let third = false;
    const entered = pacer.enter().then(() => {
      third = true;
    });
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    expect(third).toBe(false);
    pacer.leave();
    await entered;
    expect(clock.rested).toBeGreaterThanOrEqual(1000);
  });

  it('takes no rest for time in which the database let nothing pass, nor for what was done at full speed', async () => {
    const { clock, now, wait } = makeClock();
    let share = 1;
    const pacer = createPacer({ share: () => share, signal: undefined, now, wait });
    await pacer.enter();
    clock.at += 3_600_000;
    pacer.leave();
    share = 0.1;
    await pacer.enter();
    pacer.stop();
    clock.at += 600_000;
    pacer.go();
    pacer.leave();
    await pacer.enter();
    expect(clock.rested).toBe(0);
  });

  it('ends a rest when the run is asked to stop', async () => {
    const { clock, now } = makeClock();
    const stop = new AbortController();
    const wait = async (): Promise<void> => stop.abort();
    const pacer = createPacer({ share: () => 0.01, signal: stop.signal, now, wait });
    await pacer.enter();
    clock.at += 60_000;
    pacer.leave();
    await pacer.enter();
    expect(clock.at).toBe(60_000);
  });
});

describe('the latency of our own writes', () => {
  it('is measured by the row against the best that was seen, small statements aside', () => {
    const latency = createLatency();
    latency.wrote(1000, 20);
    expect(latency.ratio()).toBeUndefined();
    for (let i = 0; i < 30; i++) latency.wrote(1000, 20);
    expect(latency.ratio()).toBeCloseTo(1, 1);
    for (let i = 0; i < 5; i++) latency.wrote(3, 900);
    expect(latency.ratio()).toBeCloseTo(1, 1);
    for (let i = 0; i < 30; i++) latency.wrote(1000, 200);
    expect(latency.ratio()).toBeGreaterThan(8);
  });

  it('takes what stays slow for the usual in the end', () => {
    const latency = createLatency();
    for (let i = 0; i < 30; i++) latency.wrote(500, 10);
    for (let i = 0; i < 5000; i++) latency.wrote(500, 200);
    expect(latency.ratio()).toBeLessThan(2);
  });
});
