import fc from 'fast-check';
import { expect, test } from 'vitest';
import { paddingShare, planBatches } from '../../../src/models/batching.ts';

const lengths = fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 300 });
const limits = fc.record({
  tokens: fc.integer({ min: 1, max: 1024 }),
  texts: fc.integer({ min: 1, max: 64 }),
  overhead: fc.integer({ min: 0, max: 100 }),
});

/** What a plan computes, in tokens. */
function costOf(texts: readonly number[], batches: readonly (readonly number[])[], overhead: number): number {
  const computed = batches.map((batch) => batch.length * Math.max(...batch.map((index) => texts[index] ?? 0)));
  return computed.reduce((sum, tokens) => sum + tokens + overhead, 0);
}

/** Sorted by length, each batch as full as it may be: what is done where batches are not planned. */
function fullBatches(texts: readonly number[], limit: { readonly tokens: number; readonly texts: number }) {
  const batches: number[][] = [];
  const order = texts.map((_, index) => index).sort((a, b) => (texts[b] ?? 0) - (texts[a] ?? 0));
  for (const index of order) {
    const batch = batches.at(-1);
    const longest = texts[batch?.[0] ?? index] ?? 0;
    if (batch !== undefined && (batch.length + 1) * longest <= limit.tokens && batch.length < limit.texts)
      batch.push(index);
    else batches.push([index]);
  }
  return batches;
}

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

test('never more is computed than with batches as full as they may be', () => {
  fc.assert(
    fc.property(lengths, limits, (texts, limit) => {
      const planned = costOf(texts, planBatches(texts, limit), limit.overhead);
      expect(planned).toBeLessThanOrEqual(costOf(texts, fullBatches(texts, limit), limit.overhead));
    }),
  );
});

test('the padding of a batch is bounded by what another batch would cost', () => {
  fc.assert(
    fc.property(lengths, limits, (texts, limit) => {
      for (const batch of planBatches(texts, limit)) {
        const longest = Math.max(...batch.map((index) => texts[index] ?? 0));
        const padding = batch.reduce((sum, index) => sum + longest - (texts[index] ?? 0), 0);
        expect(padding).toBeLessThanOrEqual(limit.overhead * (1 + Math.log(batch.length)) + 1e-9);
      }
    }),
  );
});

test('texts of one length that fill batches are never padded', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 128 }), { minLength: 1, maxLength: 20 }), (distinct) => {
      // 4 batches full of each length.
      const texts = distinct.flatMap((length) => Array<number>(4 * Math.floor(512 / length)).fill(length));
      const batches = planBatches(texts, { tokens: 512, texts: Number.POSITIVE_INFINITY });
      expect(paddingShare(texts, batches)).toBe(0);
      expect(batches).toHaveLength(4 * distinct.length);
    }),
  );
});

test('texts of like length share a batch, the longest first', () => {
  expect(planBatches([5, 100, 4, 98], { tokens: 200, texts: 32 })).toEqual([
    [1, 3],
    [0, 2],
  ]);
});

test('the padding share is what is computed for nothing', () => {
  expect(paddingShare([3, 1, 4], [[0, 1], [2]])).toBeCloseTo(0.2);
  expect(paddingShare([], [])).toBe(0);
});
