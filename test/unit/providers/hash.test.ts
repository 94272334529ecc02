import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createProvider } from '../../../src/providers/create-provider.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import { cosine, norm } from '../../../src/vector/math.ts';

async function embed(texts: readonly string[], dimensions = 384): Promise<readonly Float32Array[]> {
  return (await hashProvider(`hash/${dimensions}`).embed(texts, { kind: 'document' })).vectors;
}

test('every text, blank or not, has a vector of length 1, the same each time', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme' }), fc.constantFrom(1, 8, 384), async (text, dimensions) => {
      const [first] = await embed([text], dimensions);
      const [second] = await embed([text], dimensions);
      expect(first).toHaveLength(dimensions);
      expect(norm(first ?? new Float32Array())).toBeCloseTo(1, 5);
      expect(second).toEqual(first);
    }),
  );
});

test('texts are close when they share words', async () => {
  const [a, b, c] = await embed(['Vacuum removes dead rows', 'dead rows, removed by VACUUM', 'a walk in the park']);
  const [near, far] = [b, c].map((other) => cosine(a ?? new Float32Array(), other ?? new Float32Array()));
  expect(near).toBeGreaterThan(0.5);
  expect(far).toBeLessThan(0.3);
});

test('the values never change: vectors stored by an older version stay comparable', async () => {
  const [vector] = await embed(['hello world'], 8);
  expect([...(vector ?? [])].map((value) => Number(value.toFixed(4)))).toMatchInlineSnapshot(`
    [
      -0.2887,
      -0.2887,
      0,
      0.2887,
      0.2887,
      0.5774,
      0,
      -0.5774,
    ]
  `);
});

test('the same words have the same vector however they are spelled: plain letters are hashed by a way of their own', async () => {
  // A full-width letter or a thin space is plain ASCII after NFKC, but does not take the way for it.
  const pairs: [string, string][] = [
    ['Vacuum FULL 2 tables', 'Ｖacuum FULL 2 tables'],
    ['a-b_c.D9', 'a\u2009b\u2009c\u2009d9'],
    ['x', '\u00a0x\u00a0'],
  ];
  for (const [ascii, other] of pairs) {
    const { vectors, tokenKeys, tokens } = await hashProvider('hash/64').embed([ascii, other], { kind: 'document' });
    expect(vectors[1]).toEqual(vectors[0]);
    expect(tokenKeys?.[1]).toBe(tokenKeys?.[0]);
    expect(tokens % 2).toBe(0);
  }
});

test('keys tell texts apart as the vectors do', async () => {
  const { tokenKeys } = await hashProvider('hash/16').embed(['a b', 'B, a!', 'a b b'], { kind: 'query' });
  expect(tokenKeys?.[0]).toBe(tokenKeys?.[1]);
  expect(tokenKeys?.[2]).not.toBe(tokenKeys?.[0]);
});

test('a wrong name or other dimensions are refused', async () => {
  expect(() => hashProvider('hash/none')).toThrow(/hash\/none is not hash\/<dimensions>/);
  await expect(createProvider({ provider: 'hash', model: 'hash/384', dimensions: 768 })).rejects.toMatchObject({
    message: 'hash/384 makes 384 dimensions, the configuration asks for 768.',
  });
});
