import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planBatches } from '../../../src/models/batching.ts';

const lengths = fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 300 });
const limits = fc.record({ tokens: fc.integer({ min: 1, max: 1024 }), texts: fc.integer({ min: 1, max: 64 }) });

test('every text is in exactly one batch and no batch is empty', () => {
  fc.assert(
    fc.property(lengths, limits, (texts, limit) => {
      const batches = planBatches(texts, limit);
      expect(batches.flat().sort((a, b) => a - b)).toEqual(texts.map((_, index) => index));
      expect(batches.every((batch) => batch.length > 0)).toBe(true);
    }),
  );
});

test('no batch of several texts is over a limit, padding counted in', () => {
  fc.assert(
    fc.property(lengths, limits, (texts, limit) => {
      for (const batch of planBatches(texts, limit)) {
        const longest = Math.max(...batch.map((index) => texts[index] ?? 0));
        if (batch.length > 1) expect(batch.length * longest).toBeLessThanOrEqual(limit.tokens);
        expect(batch.length).toBeLessThanOrEqual(limit.texts);
      }
    }),
  );
});

test('texts of like length share a batch, the longest first', () => {
  expect(planBatches([5, 100, 4, 90], { tokens: 200, texts: 32 })).toEqual([
    [1, 3],
    [0, 2],
  ]);
});
