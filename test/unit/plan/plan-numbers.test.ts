import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlanPace, TextSample } from '../../../src/plan/inputs.ts';
import { choosePrice, planCost } from '../../../src/plan/plan-cost.ts';
import { planRequests, requestsFor, textsPerRequest } from '../../../src/plan/plan-requests.ts';
import { planTexts } from '../../../src/plan/plan-texts.ts';
import { PRICES } from '../../../src/providers/prices.ts';

const PACE: PlanPace = {
  batchRows: 1000,
  concurrency: 2,
  batchSize: undefined,
  remote: { maxRequests: 8, requestsPerMinute: undefined, tokensPerMinute: undefined },
};

function sampleOf(tokens: readonly (number | undefined)[], changes: Partial<TextSample> = {}): TextSample {
  const texts = tokens.map((each, page) => ({ page, bytes: 400, tokens: each }));
  return { texts, tokenizer: 'a tokenizer', maxTokens: 256, ...changes };
}

describe('planTexts', () => {
  it('counts what the model reads, what is cut, and what is lost by it', () => {
    const texts = planTexts(3, sampleOf([100, 256, 300]));
    expect(texts).toMatchObject({
      texts: { value: 3 },
      tokens: { value: 612, basis: 'counted' },
      truncated: { value: 1 },
      tokensLost: { value: 44 },
    });
  });

  it('leaves out rows without text, and scales by all rows', () => {
    const blank = { page: 9, bytes: 0, tokens: 0 };
    const { texts } = sampleOf([100, 100, 100]);
    const planned = planTexts(40, sampleOf([], { texts: [...texts, blank] }));
    expect(planned).toMatchObject({ texts: { value: 30, basis: 'sampled' }, tokens: { value: 3000 } });
  });

  it('estimates tokens from bytes where nothing counts them, in a range, and says so', () => {
    const planned = planTexts(2, sampleOf([undefined, undefined], { tokenizer: undefined, maxTokens: undefined }));
    expect(planned?.tokens).toMatchObject({ value: 200, high: 400, basis: 'estimated' });
    expect(planned?.tokens.low).toBeCloseTo(800 / 6);
  });

  it('knows nothing without a sample, and everything of an empty table', () => {
    expect(planTexts(10, undefined)).toBeUndefined();
    expect(planTexts(10, sampleOf([]))).toBeUndefined();
    expect(planTexts(0, sampleOf([]))).toMatchObject({ tokens: { value: 0, basis: 'counted' } });
  });
});

describe('planCost', () => {
  const texts = planTexts(4, sampleOf([100, 100, 100, 100], { maxTokens: undefined }));

  it('is tokens by the price of a million', () => {
    const cost = planCost(texts, { usdPerMillionTokens: 50_000, source: '--price' }, undefined);
    expect(cost.usd?.value).toBeCloseTo(20);
    expect(cost.overBudget).toBeUndefined();
  });

  it('leaves out what is cached', () => {
    const cached = planTexts(4, sampleOf([100, 100, 100, 100], { cachedTexts: 3 }));
    expect(planCost(cached, { usdPerMillionTokens: 50_000, source: '--price' }, undefined).usd?.value).toBeCloseTo(5);
    expect(planRequests(cached, 'openai', PACE)?.value).toBe(1);
  });

  it('is over a budget that is smaller, and not over one that is just enough', () => {
    const price = { usdPerMillionTokens: 50_000, source: '--price' };
    expect(planCost(texts, price, 19.99).overBudget).toBe(true);
    expect(planCost(texts, price, 20).overBudget).toBe(false);
  });

  it('is over what is left of a budget that earlier runs have begun to spend', () => {
    const price = { usdPerMillionTokens: 50_000, source: '--price' };
    expect(planCost(texts, price, 25, { usd: 5, unpricedTokens: 0 })).toMatchObject({ spentUsd: 5, overBudget: false });
    expect(planCost(texts, price, 25, { usd: 5.01, unpricedTokens: 0 }).overBudget).toBe(true);
    // Tokens that nobody knew the price of when they were sent take the present one, as the next run does.
    expect(planCost(texts, price, 25, { usd: 5, unpricedTokens: 10 })).toMatchObject({
      spentUsd: 5.5,
      overBudget: true,
    });
  });

  it('is not over a budget that is used up when nothing is left to be paid', () => {
    const done = planTexts(2, sampleOf([100, 100], { cachedTexts: 2 }));
    const price = { usdPerMillionTokens: 1, source: '--price' };
    expect(planCost(done, price, 5, { usd: 5.01, unpricedTokens: 0 }).overBudget).toBe(false);
  });

  it('is not known without a price or without tokens', () => {
    expect(planCost(texts, undefined, 1)).toMatchObject({ usd: undefined, overBudget: undefined });
    expect(planCost(undefined, { usdPerMillionTokens: 1, source: 'x' }, 1).usd).toBeUndefined();
  });
});

describe('choosePrice', () => {
  const small = { provider: 'openai', model: 'text-embedding-3-small' } as const;

  it('takes the flag, then the environment, then the table with its date', () => {
    expect(choosePrice(small, { flag: 1, env: 2 })).toEqual({ usdPerMillionTokens: 1, source: '--price' });
    expect(choosePrice(small, { env: 2 })).toEqual({ usdPerMillionTokens: 2, source: 'EMBEDDING_PRICE' });
    expect(choosePrice(small)?.source).toMatch(/^https:\/\/.*, \d{4}-\d{2}$/);
  });

  it('is nothing for a model on this machine, and unknown for one that the table does not have', () => {
    expect(choosePrice({ provider: 'local', model: 'BAAI/bge-small-en-v1.5' }, { env: 2 })?.usdPerMillionTokens).toBe(
      0,
    );
    expect(choosePrice({ provider: 'tei', model: 'BAAI/bge-small-en-v1.5' })).toBeUndefined();
  });

  it('has a date and a source for every entry of the table', () => {
    for (const { asOf, source, usdPerMillionTokens } of PRICES) {
      expect(asOf).toMatch(/^20\d\d-(0[1-9]|1[0-2])$/);
      expect(new URL(source).protocol).toBe('https:');
      expect(usdPerMillionTokens).toBeGreaterThan(0);
    }
  });
});

describe('requestsFor', () => {
  it('packs each window by itself', () => {
    expect(requestsFor(2500, 250_000, { items: 2048, tokens: 300_000 }, 1000)).toBe(3);
    expect(requestsFor(1000, 900_000, { items: 2048, tokens: 300_000 }, 1000)).toBe(3);
    expect(requestsFor(1050, 0, { items: 100, tokens: Number.POSITIVE_INFINITY }, 1000)).toBe(11);
    expect(requestsFor(0, 0, { items: 100, tokens: 1 }, 1000)).toBe(0);
  });

  it('never sends more texts or tokens in a request than the service takes', () => {
    const sizes = fc.record({ texts: fc.integer({ min: 1, max: 5000 }), perText: fc.integer({ min: 1, max: 500 }) });
    const limits = fc.record({
      items: fc.integer({ min: 1, max: 3000 }),
      tokens: fc.integer({ min: 500, max: 300_000 }),
    });
    fc.assert(
      fc.property(sizes, limits, fc.integer({ min: 1, max: 2000 }), ({ texts, perText }, limit, windowRows) => {
        const requests = requestsFor(texts, texts * perText, limit, windowRows);
        expect(requests * limit.items).toBeGreaterThanOrEqual(texts);
        expect(requests * limit.tokens).toBeGreaterThanOrEqual(texts * perText);
        expect(requests).toBeGreaterThanOrEqual(Math.ceil(texts / windowRows));
      }),
    );
  });

  it('is not asked of a model on this machine', () => {
    expect(planRequests(planTexts(1, sampleOf([1])), 'local', PACE)).toBeUndefined();
    expect(textsPerRequest('local', PACE, 100)).toBeUndefined();
  });

  it('counts two more for a text that OpenAI refuses as too long and takes when it is cut, and none at another server', () => {
    const long = planTexts(3, sampleOf([100, 300, 100]));
    const own = { ...PACE, remote: { ...PACE.remote, baseUrl: 'http://localhost:8000/v1' } };
    expect(planRequests(long, 'openai', PACE)?.value).toBe(3);
    expect(planRequests(long, 'openai', own)?.value).toBe(1);
  });

  it('asks a server of your own for 64 texts at a time, since it names no limits', () => {
    const own = { ...PACE, remote: { ...PACE.remote, baseUrl: 'http://localhost:8000/v1' } };
    expect(textsPerRequest('openai', own, 100)).toBe(64);
  });

  it('fills a probe as the backfill fills its requests', () => {
    expect(textsPerRequest('openai', PACE, 100)).toBe(1000);
    expect(textsPerRequest('openai', PACE, 3000)).toBe(100);
    expect(textsPerRequest('gemini', PACE, 100)).toBe(100);
    expect(textsPerRequest('tei', { ...PACE, batchSize: 8 }, 100)).toBe(8);
  });
});
