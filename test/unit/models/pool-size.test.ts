import { expect, test } from 'vitest';
import { poolSize, sessionBytes } from '../../../src/models/pool-size.ts';

const GIBIBYTE = 1024 ** 3;
/** Something of the size of bge-large. */
const large = {
  dtype: 'fp32',
  graphBytes: 1.25 * GIBIBYTE,
  dimensions: 1024,
  batchTokens: 2048,
  sequence: 512,
} as const;

test('one thread a core where memory is plenty', () => {
  expect(poolSize({ cores: 8, freeBytes: 64 * GIBIBYTE }, large)).toEqual({ threads: 8, notice: undefined });
});

test('memory bounds the threads, and that is said with both numbers', () => {
  const { threads, notice } = poolSize({ cores: 8, freeBytes: 8 * GIBIBYTE }, large);
  expect(threads).toBeLessThan(8);
  expect(threads).toBeGreaterThan(1);
  expect((threads - 1) * sessionBytes(large)).toBeLessThan(8 * GIBIBYTE);
  expect(notice).toMatch(
    /^\d of 8 cores are used: 8,192 MB of memory are free and a session takes about 2,[\d]{3} MB\. EMBEDDING_THREADS/,
  );
});

test('the session that is open already is used even where memory is gone', () => {
  expect(poolSize({ cores: 4, freeBytes: 0 }, large).threads).toBe(1);
});

test('what was asked for is taken as it is', () => {
  expect(poolSize({ cores: 4, freeBytes: 0 }, large, 16)).toEqual({ threads: 16, notice: undefined });
});

test('a half-precision graph is reckoned with what a CPU makes of it', () => {
  expect(sessionBytes({ ...large, dtype: 'fp16' })).toBeGreaterThan(sessionBytes(large));
});
