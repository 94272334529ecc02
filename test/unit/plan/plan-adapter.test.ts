import { expect, it } from 'vitest';
import { planText } from '../../../src/reports/plan-report.ts';
import { planOf, sampleOf } from './plan-facts.ts';

const adapter = { name: 'adapted:old--bge', quality: 'Recall@10 retention 0.94 (0.91 to 0.97) on held-out text' };
const price = { usdPerMillionTokens: 0.5, source: '--price' };
const probe = { texts: 10, tokens: 1000, requests: undefined, seconds: 1, device: 'cpu' };

it('a plan by an adapter costs the time of mapping and no token; what the model itself takes is for later', () => {
  const inputs = { sample: sampleOf(), probe, price };
  const real = planOf({ annIndexes: [] }, {}, inputs);
  const mapped = planOf({ annIndexes: [] }, {}, { ...inputs, adapter });
  expect(mapped).toMatchObject({ requests: undefined, cost: { usd: { value: 0 } }, time: { embedSeconds: undefined } });
  // 100,000 rows at 18,000 a second, the longer of mapping and writing.
  expect(mapped.time.backfillSeconds).toMatchObject({ value: 100_000 / 18_000, basis: 'estimated' });
  expect(mapped.deployment.way).toBe('one deploy');
  expect(mapped.adapter?.replacing).toEqual({
    tokens: real.texts?.tokens,
    usd: real.cost.usd,
    seconds: real.time.backfillSeconds,
  });
  expect(mapped.adapter?.replacing.usd?.value).toBeCloseTo(5);
  const text = planText(mapped, { sql: true });
  expect(text).toMatch(/Cost +nothing by the token/);
  expect(text).toMatch(/Replacing +about 10,000,000 tokens.*"reembed backfill --replace-adapted", later/);
  expect(text).toContain('maps the old vectors by adapted:old--bge (Recall@10 retention 0.94');
  expect(text).toContain('"embedding" IS NOT NULL');
});

it('with an old index kept its upkeep is what takes long', () => {
  const { time } = planOf({}, {}, { sample: sampleOf(), adapter });
  expect(time.backfillSeconds).toEqual(time.writeSeconds);
});
