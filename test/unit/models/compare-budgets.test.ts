import fc from 'fast-check';
import { expect, test } from 'vitest';
import { calibrationLine, calibrationTable } from '../../../src/models/calibration.ts';
import { compareBudgets, cutByTokens, fastest, type Sample } from '../../../src/models/compare-budgets.ts';

const BUDGETS = [128, 256, 512];

/** A round in which every budget encodes 1,000 tokens in the given time. */
function round(number: number, milliseconds: readonly number[]): Sample[] {
  return BUDGETS.map((budget, index) => ({
    round: number,
    budget,
    tokens: 1000,
    texts: 10,
    milliseconds: milliseconds[index] ?? 0,
  }));
}

test('rates are those of all threads together', () => {
  const measured = compareBudgets(round(0, [100, 100, 100]), BUDGETS, 2);
  for (const each of measured ?? []) {
    expect(each.tokensPerSecond).toBeCloseTo(20_000);
    expect(each.textsPerSecond).toBeCloseTo(200);
  }
});

test('the fastest budget of the median round is chosen, whatever one round says', () => {
  const samples = [...round(0, [100, 80, 120]), ...round(1, [900, 5000, 1000]), ...round(2, [100, 90, 110])];
  expect(fastest(compareBudgets(samples, BUDGETS, 1) ?? [])).toBe(256);
});

test('a slow time of the machine that meets a whole round favours nobody', () => {
  const samples = [...round(0, [100, 90, 95]), ...round(1, [1000, 900, 950])];
  const measured = compareBudgets(samples, BUDGETS, 1) ?? [];
  expect((measured[1]?.tokensPerSecond ?? 0) / (measured[0]?.tokensPerSecond ?? 1)).toBeCloseTo(100 / 90);
});

test('the range of a budget is what its rounds were beside the others', () => {
  const samples = [...round(0, [100, 100, 100]), ...round(1, [100, 50, 100]), ...round(2, [1000, 2000, 1000])];
  const [, middle] = compareBudgets(samples, BUDGETS, 1) ?? [];
  const rate = middle?.tokensPerSecond ?? 0;
  // In the second round it had 1.5 times the mean of all, in the third 0.6 times.
  expect(middle?.range?.map((value) => value / rate)).toEqual([expect.closeTo(0.6), expect.closeTo(1.5)]);
});

test('rounds that are not whole do not count', () => {
  const part = round(1, [1, 1, 1]).slice(0, 2);
  expect(compareBudgets([...round(0, [100, 90, 110]), ...part], BUDGETS, 1)).toEqual(
    compareBudgets(round(0, [100, 90, 110]), BUDGETS, 1),
  );
  expect(compareBudgets(part, BUDGETS, 1)).toBeUndefined();
});

test('the choice is the maximum of its own table, the smallest of equals', () => {
  const times = fc.array(fc.tuple(...BUDGETS.map(() => fc.integer({ min: 1, max: 50 }))), {
    minLength: 1,
    maxLength: 9,
  });
  fc.assert(
    fc.property(times, (rounds) => {
      const measured =
        compareBudgets(
          rounds.flatMap((each, number) => round(number, each)),
          BUDGETS,
          2,
        ) ?? [];
      const rates = measured.map((each) => each.tokensPerSecond);
      expect(measured.map(({ budget }) => budget)).toEqual(BUDGETS);
      expect(fastest(measured)).toBe(BUDGETS[rates.indexOf(Math.max(...rates))]);
    }),
  );
});

test('pieces hold every text once, in order, and like many tokens', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 256 }), { minLength: 100, maxLength: 400 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 25 }), (texts, count) => {
      const order = texts.map((_, index) => index);
      const pieces = cutByTokens(order, texts, count);
      expect(pieces.flat()).toEqual(order);
      expect(pieces.length).toBeLessThanOrEqual(count);
      const share = texts.reduce((sum, length) => sum + length, 0) / count;
      for (const piece of pieces) {
        const tokens = piece.reduce((sum, index) => sum + (texts[index] ?? 0), 0);
        expect(Math.abs(tokens - share)).toBeLessThanOrEqual(256);
      }
    }),
  );
});

test('the table is shown with its choice', () => {
  const measured = [
    { budget: 256, tokensPerSecond: 21_400.4, textsPerSecond: 196.3 },
    { budget: 1024, tokensPerSecond: 19_000, textsPerSecond: 174.3 },
  ];
  const calibration = { budget: 256, measured, calibratedAt: '2026-01-01T00:00:00.000Z' };
  expect(calibrationLine(calibration)).toBe('256 tokens a batch (256: 21,400 tokens/s, 1024: 19,000 tokens/s)');
  expect(calibrationTable(calibration).split('\n').slice(2)).toEqual([
    '| **256** | **21,400** | **196** |',
    '| 1,024 | 19,000 | 174 |',
  ]);
});
