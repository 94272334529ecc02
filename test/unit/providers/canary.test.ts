import { describe, expect, it } from 'vitest';
import { CANARY_TEXTS, embedCanary, lowestCosine } from '../../../src/providers/canary.ts';
import { cosineLimit } from '../../../src/providers/cosine-limit.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import { countingProvider } from './counting-provider.ts';

describe('the fixed texts', () => {
  it('come out the same from the same model, and not from another', async () => {
    const before = await embedCanary(hashProvider('hash/384'), undefined);
    expect(lowestCosine(before, await embedCanary(hashProvider('hash/384'), undefined))).toBeCloseTo(1, 6);
    const swapped = { ...before, vectors: before.vectors.map((vector) => vector.toReversed()) };
    expect(lowestCosine(before, swapped)).toBeLessThan(0.9);
  });

  it('tell by the worst of them: one that is another one is enough', async () => {
    const before = await embedCanary(hashProvider('hash/384'), undefined);
    const vectors = before.vectors.map((vector, i) => (i === 3 ? vector.toReversed() : vector));
    expect(lowestCosine(before, { ...before, vectors })).toBeLessThan(0.9);
  });

  it('are another model’s when they have other dimensions or no direction', async () => {
    const before = await embedCanary(hashProvider('hash/384'), undefined);
    expect(lowestCosine(before, await embedCanary(hashProvider('hash/256'), undefined))).toBe(-1);
    const nothing = { ...before, vectors: before.vectors.map(() => new Float32Array(384)) };
    expect(lowestCosine(before, nothing)).toBe(-1);
  });

  it('that a later release has others of are compared where both have them', async () => {
    const service = countingProvider();
    const before = await embedCanary(service, undefined, ['an older text', 'harbour']);
    expect(service.asked).toEqual(['document an older text', 'document harbour']);
    expect(lowestCosine(before, await embedCanary(service, undefined))).toBeCloseTo(1, 6);
    expect(lowestCosine({ ...before, texts: ['x', 'y'] }, before)).toBeNaN();
  });

  it('differ in length and script', () => {
    expect(new Set(CANARY_TEXTS).size).toBe(6);
    expect(Math.max(...CANARY_TEXTS.map((text) => text.length))).toBeGreaterThan(300);
  });
});

it.each([
  ['hash', 'fp32', 1 - 1e-6],
  ['file', 'fp16', 1 - 1e-6],
  ['local', 'fp32', 0.9999],
  ['local', 'fp16', 0.999],
  ['local', 'int8', 0.96],
  ['tei', 'fp32', 0.9999],
  ['tei', 'fp16', 0.999],
  ['openai', null, 0.999],
])('vectors of %s in %s are the same model’s from a cosine of %d on', (provider, dtype, limit) => {
  expect(cosineLimit({ provider, dtype })).toBe(limit);
});
