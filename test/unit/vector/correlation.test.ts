import { describe, expect, it } from 'vitest';
import { correlationSums } from '../../../src/vector/correlation.ts';

describe('correlationSums', () => {
  it('is numpy.corrcoef of pairs far from 0, one by one', () => {
    const sums = correlationSums();
    for (let i = 0; i < 50; i++) sums.add(Math.sin(i), Math.cos(i * 1.3) + 0.5 * Math.sin(i) + 1000);
    expect(sums.value()).toBeCloseTo(0.3613748222955946, 9);
  });

  it('says nothing where one side never changes, or there is one pair', () => {
    const sums = correlationSums();
    expect(sums.value()).toBeNaN();
    sums.add(1, 2);
    expect(sums.value()).toBeNaN();
    sums.add(2, 2);
    expect(sums.value()).toBeNaN();
  });
});
