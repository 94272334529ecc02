import { expect, test } from 'vitest';
import { delaysOf, summarizeDelays, watchLoop } from '../../../src/bench/loop-delay.ts';
import { interleave, median, percentile, spreadOf } from '../../../src/bench/statistics.ts';

test('a spread has median, minimum, maximum and every round as measured', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, rounds: [3, 1, 2] });
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(() => spreadOf([])).toThrow(RangeError);
});

test('a percentile is a value that was measured: the nearest rank', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect([0, 0.05, 0.5, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([1, 5, 50, 99, 100]);
  expect(percentile([7], 0.99)).toBe(7);
});

test('contenders have their turns round after round', async () => {
  const order: string[] = [];
  const contender = (name: string) => ({ name, run: async () => order.push(name) });
  const measured = await interleave(2, [contender('a'), contender('b')]);
  expect(order).toEqual(['a', 'b', 'a', 'b']);
  expect(measured).toEqual([
    { name: 'a', rates: [1, 3] },
    { name: 'b', rates: [2, 4] },
  ]);
});

test('a blocked event loop counts every tick that it kept from coming', () => {
  expect(delaysOf(11, 10)).toEqual([1]);
  expect(delaysOf(9, 10)).toEqual([0]);
  expect(delaysOf(45, 10)).toEqual([35, 25, 15, 5]);
  // 99 good ticks and one second without any: a p99 of a single late tick would look harmless.
  expect(summarizeDelays([...Array<number>(99).fill(0), ...delaysOf(1010, 10)]).p99).toBeGreaterThan(900);
});

test('work that blocks the loop is seen even when it ends before the next tick', async () => {
  const delays: number[] = [];
  await watchLoop(delays, async () => {
    const end = performance.now() + 60;
    while (performance.now() < end);
  });
  expect(Math.max(...delays)).toBeGreaterThanOrEqual(49);
});
