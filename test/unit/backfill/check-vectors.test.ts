import { describe, expect, it } from 'vitest';
import { refuseCollapse } from '../../../src/backfill/check-vectors.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import { vectorFault } from '../../../src/vector/vector-fault.ts';

const model = hashProvider('hash/4').model;

describe('what is never stored', () => {
  it.each([
    ['a wrong dimension', [1, 0, 0], '3 dimensions instead of 4'],
    ['NaN', [Number.NaN, 0, 0, 1], 'NaN or infinite'],
    ['Infinity', [Number.POSITIVE_INFINITY, 0, 0, 1], 'NaN or infinite'],
    ['a zero vector', [0, 0, 0, 0], 'all values are zero'],
    [
      'both infinities, which cancel out',
      [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1],
      'NaN or infinite',
    ],
    ['values whose squares no float32 holds', [3e38, 3e38, 0, 0], 'norm 4'],
    ['values whose squares a float32 rounds to zero', [1e-45, 0, 0, 0], 'norm 0.0000 instead of 1'],
    ['a vector that is not normalised', [2, 0, 0, 0], 'norm 2.0000 instead of 1'],
  ])('%s', (_, values, reason) => {
    expect(vectorFault(Float32Array.from(values), model)).toContain(reason);
  });

  it('lets a good vector pass', () => {
    expect(vectorFault(Float32Array.of(0, 1, 0, 0), model)).toBeUndefined();
  });
});

describe('a model that gives everything the same vector', () => {
  const rows = Array.from({ length: 10 }, (_, i) => ({ key: [String(i)], text: `text ${i}` }));
  const produced = (same: number) =>
    rows.map((_, i) => ({
      kind: 'vector' as const,
      vector: Float32Array.of(i < same ? 1 : i + 2, 1, 0, 0),
      tokenKey: undefined,
    }));

  it('is refused when more than half of the texts share one vector', () => {
    expect(() => refuseCollapse(rows, produced(6), model)).toThrow('Vector store contamination detected');
  });

  it('is not suspected for half of them, nor for fewer than 8 texts, nor for texts with equal tokens', () => {
    expect(() => refuseCollapse(rows, produced(5), model)).not.toThrow();
    expect(() => refuseCollapse(rows.slice(0, 7), produced(7).slice(0, 7), model)).not.toThrow();
    const sameTokens = produced(10).map((row) => ({ ...row, tokenKey: '101 102' }));
    expect(() => refuseCollapse(rows, sameTokens, model)).not.toThrow();
  });
});
