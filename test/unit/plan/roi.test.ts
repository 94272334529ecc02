import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apiCost, type RoiInput, reckonRoi } from '../../../src/plan/roi.ts';

/** A million documents, 100,000 queries a month that are worth ten cents each, ten points of recall, twenty dollars and twenty hours. */
const MILLION: RoiInput = {
  documents: 1_000_000,
  apiUsd: 20,
  apiFrom: '1,000 tokens each',
  computeUsd: 0,
  downtimeUsd: 0,
  hours: 20,
  hourlyRateUsd: 100,
  queriesPerMonth: 100_000,
  recallBefore: 0.75,
  recallAfter: 0.85,
  valuePerQueryUsd: 0.1,
};

describe('reckonRoi', () => {
  it('pays back $20 and $2,000 in 2.02 months where ten points of recall bring $1,000 a month', () => {
    const { costs, ...report } = reckonRoi(MILLION);
    expect(costs).toEqual({ apiUsd: 20, computeUsd: 0, engineeringUsd: 2000, downtimeUsd: 0, totalUsd: 2020 });
    expect(report).toMatchObject({
      monthlyBenefitUsd: 1000,
      breakEvenMonths: 2.02,
      breakEvenMonth: 3,
      yearlyBenefitUsd: 12_000,
      firstYearNetUsd: 9980,
    });
  });

  it('adds compute and downtime to the cost', () => {
    const { costs } = reckonRoi({ ...MILLION, computeUsd: 30, downtimeUsd: 50 });
    expect(costs.totalUsd).toBe(2100);
  });

  it('never breaks even where recall does not grow, and tells what is lost', () => {
    for (const recallAfter of [0.75, 0.7]) {
      const report = reckonRoi({ ...MILLION, recallAfter });
      expect(report).toMatchObject({ breakEvenMonths: undefined, breakEvenMonth: undefined });
      expect(report.firstYearNetUsd).toBeLessThanOrEqual(-2020);
    }
  });

  it('has paid at the end of the second month where it takes exactly two', () => {
    expect(reckonRoi({ ...MILLION, apiUsd: 0 })).toMatchObject({ breakEvenMonths: 2, breakEvenMonth: 2 });
  });

  it('has paid at once where it costs nothing, unless it loses something', () => {
    const free = { ...MILLION, apiUsd: 0, hours: 0 };
    expect(reckonRoi(free)).toMatchObject({ breakEvenMonths: 0, breakEvenMonth: 1 });
    expect(reckonRoi({ ...free, recallAfter: 0.7 }).breakEvenMonths).toBeUndefined();
  });

  it('states every number that was put in, so that a reader can disagree with it', () => {
    const { assumptions } = reckonRoi({ ...MILLION, computeUsd: 31, downtimeUsd: 47 });
    for (const stated of [
      '1,000,000',
      '1,000 tokens each',
      '$31.00',
      '20 hours',
      '$100.00',
      '$47.00',
      '100,000',
      '0.75',
      '0.85',
      '$0.10',
    ])
      expect(assumptions.join('\n')).toContain(stated);
  });

  it('has paid for itself when the benefit of so many months reaches the cost', () => {
    const amount = fc.nat(1_000_000);
    const share = fc.nat(100).map((percent) => percent / 100);
    const inputs = fc.record({
      apiUsd: amount,
      hours: amount,
      queriesPerMonth: amount,
      recallBefore: share,
      recallAfter: share,
    });
    fc.assert(
      fc.property(inputs, (changes) => {
        const { costs, monthlyBenefitUsd, breakEvenMonths } = reckonRoi({ ...MILLION, ...changes });
        if (breakEvenMonths === undefined) expect(monthlyBenefitUsd).toBeLessThanOrEqual(0);
        else
          expect(Math.abs(breakEvenMonths * monthlyBenefitUsd - costs.totalUsd)).toBeLessThanOrEqual(
            1e-9 * costs.totalUsd,
          );
      }),
    );
  });
});

describe('apiCost', () => {
  it('is documents times tokens times the price of a million', () => {
    expect(apiCost(1_000_000, 1000, 0.02)).toBe(20);
    expect(apiCost(1000, 106.2, 0.13)).toBeCloseTo(0.013806, 9);
  });
});
