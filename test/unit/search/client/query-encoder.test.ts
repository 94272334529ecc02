import { describe, expect, it } from 'vitest';
import { hashProvider } from '../../../../src/providers/hash.ts';
import { QueryEncoder } from '../../../../src/search/client/query-encoder.ts';

const column = { side: 'new', name: 'public.segments.embedding', dimensions: 2, model: undefined } as const;

/** An encoder that says what it was asked. */
function counting() {
  const asked: string[] = [];
  const encode = async (texts: readonly string[]) => {
    asked.push(...texts);
    await Promise.resolve();
    if (texts[0] === 'bad') throw new Error('the model is away');
    return texts.map((text) => [text.length, 1]);
  };
  return { asked, encode };
}

describe('QueryEncoder', () => {
  it('encodes a text once, for requests at the same time and after one another, and forgets the one that was used longest ago', async () => {
    const { asked, encode } = counting();
    const encoder = new QueryEncoder(encode, 2);
    const ask = (text: string) => encoder.encode(text, column, undefined);
    expect(await Promise.all([ask('bees'), ask('bees')])).toEqual(['[4,1]', '[4,1]']);
    await ask('ants');
    await ask('bees');
    await ask('moths');
    await ask('bees');
    expect(asked).toEqual(['bees', 'ants', 'moths']);
    await ask('ants');
    expect(asked).toEqual(['bees', 'ants', 'moths', 'ants']);
  });

  it('keeps no failure, and ends only the waiting of a request that is given up', async () => {
    const { asked, encode } = counting();
    const encoder = new QueryEncoder(encode, 10);
    await expect(encoder.encode('bad', column, undefined)).rejects.toThrow('the model is away');
    await expect(encoder.encode('bad', column, undefined)).rejects.toThrow('the model is away');
    expect(asked).toEqual(['bad', 'bad']);
    const stop = new AbortController();
    const [given, other] = [encoder.encode('bees', column, stop.signal), encoder.encode('bees', column, undefined)];
    stop.abort(new Error('no longer wanted'));
    await expect(given).rejects.toThrow('no longer wanted');
    expect(await other).toBe('[4,1]');
  });

  it('refuses another model than the vectors’, vectors of another size, and a query without direction', async () => {
    const provider = hashProvider('hash/8');
    const named = {
      model: provider.model,
      encodeTexts: async (texts: readonly string[]) => (await provider.embed(texts, { kind: 'query' })).vectors,
    };
    const other = { ...provider.model, revision: '0' };
    const ask = (target: Partial<Parameters<QueryEncoder['encode']>[1]>) =>
      new QueryEncoder({ open: async () => named }, 1).encode('bees', { ...column, ...target }, undefined);
    await expect(ask({ model: { ...other } })).rejects.toMatchObject({ code: 'model_differs' });
    await expect(ask({ dimensions: 2 })).rejects.toMatchObject({
      code: 'dimensions_differ',
      message: 'The new encoder made 8 dimensions of a query, public.segments.embedding holds vectors of 2.',
    });
    expect(await ask({ dimensions: 8, model: { ...provider.model } })).toMatch(/^\[/);
    const zero = new QueryEncoder(async () => [[0, 0]], 1);
    await expect(zero.encode('?', column, undefined)).rejects.toMatchObject({ code: 'zero_query' });
  });
});
