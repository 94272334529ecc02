import { describe, expect, it } from 'vitest';
import { chooseKind } from '../../../src/adapters/choose-kind.ts';
import type { ProjectionKind } from '../../../src/adapters/types.ts';

const measured = (kind: ProjectionKind, recall: number, rank: number) => {
  const others = { real: 1, old: undefined, retention: recall, low: 0, high: 1 };
  return {
    kind,
    metrics: { recallAt10: { ...others, adapted: recall }, reciprocalRank: { ...others, adapted: rank } },
  };
};

describe('chooseKind', () => {
  it('takes what finds most, then what finds it first, then the simplest', () => {
    const [ridge, mlp] = [measured('ridge', 0.8, 0.6), measured('residual-mlp', 0.81, 0.5)];
    expect(chooseKind([ridge, mlp])?.kind).toBe('residual-mlp');
    expect(chooseKind([ridge, measured('residual-mlp', 0.8, 0.61)])?.kind).toBe('residual-mlp');
    expect(chooseKind([measured('residual-mlp', 0.8, 0.6), ridge])?.kind).toBe('ridge');
    expect(chooseKind([ridge, measured('identity', 0.8, 0.6)])?.kind).toBe('identity');
    expect(chooseKind([])).toBeUndefined();
  });
});
