import { describe, expect, it } from 'vitest';
import { probeModel } from '../../../src/inspect/probe-model.ts';
import { countTokens } from '../../../src/inspect/sample-texts.ts';
import { openTokenCounter } from '../../../src/inspect/token-counter.ts';
import { createProvider } from '../../../src/providers/create-provider.ts';

const NOTHING = { dtype: undefined, modelsDir: '/nowhere' };
const MINILM = 'sentence-transformers/all-MiniLM-L6-v2';
const TEXTS = ['hello world', 'Ünïcödé, 漢字 and <|endoftext|>', 'tiktoken is great!', 'word '.repeat(400)];

describe('openTokenCounter', () => {
  it("counts OpenAI's models by cl100k_base", async () => {
    const counter = await openTokenCounter({ provider: 'openai', model: 'text-embedding-3-small' }, NOTHING);
    expect(counter).toMatchObject({ tokenizer: 'cl100k_base (js-tiktoken)', maxTokens: 8191 });
    const [hello, , great] = (await counter.count(TEXTS)) ?? [];
    // As OpenAI's own cookbook counts them.
    expect([hello, great]).toEqual([2, 6]);
  });

  it('counts a local model by its own tokenizer, special tokens in and nothing cut', async () => {
    const counter = await openTokenCounter({ provider: 'local', model: MINILM }, NOTHING);
    expect(counter).toMatchObject({ tokenizer: `the tokenizer of ${MINILM}`, maxTokens: 256 });
    expect(await counter.count(['hello world', 'word '.repeat(400)])).toEqual([4, 402]);
  });

  it('counts by that tokenizer too where a server runs the model', async () => {
    for (const provider of ['tei', 'huggingface', 'openai'] as const) {
      const counter = await openTokenCounter({ provider, model: MINILM }, NOTHING);
      expect(await counter.count(['hello world'])).toEqual([4]);
    }
  });

  it('counts the words of the test model as it does', async () => {
    const counter = await openTokenCounter({ provider: 'hash', model: 'hash/8' }, NOTHING);
    const provider = await createProvider({ provider: 'hash', model: 'hash/8', dimensions: 8 });
    const { tokens } = await provider.embed(TEXTS, { kind: 'document' });
    const counted = (await counter.count(TEXTS)) ?? [];
    expect(counted.reduce((sum, each) => sum + each, 0)).toBe(tokens);
  });

  it.each([
    [{ provider: 'local', model: 'BAAI/bge-small-en-v1.5' }, 'neither a directory nor under /nowhere', 512],
    [
      { provider: 'tei', model: 'BAAI/bge-small-en-v1.5' },
      'no tokenizer of BAAI/bge-small-en-v1.5 is on this machine',
      512,
    ],
    [{ provider: 'gemini', model: 'gemini-embedding-001' }, 'no tokenizer of gemini-embedding-001 is published', 2048],
    [{ provider: 'openai', model: 'my-own' }, 'no tokenizer of my-own is on this machine', undefined],
  ] as const)('says why it cannot count %o', async (reference, reason, maxTokens) => {
    const counter = await openTokenCounter(reference, NOTHING);
    expect(counter).toMatchObject({ tokenizer: undefined, maxTokens });
    expect(counter.notCounted).toContain(reason);
    expect(await counter.count(TEXTS)).toBeUndefined();
  });
});

describe('countTokens', () => {
  it('scales a text of which only the beginning was read, and leaves blank ones out', async () => {
    const counter = await openTokenCounter({ provider: 'hash', model: 'hash/8' }, NOTHING);
    const drawn = [
      { page: 1, text: 'one two', bytes: 7, done: false },
      { page: 1, text: null, bytes: 0, done: true },
      { page: 2, text: 'one two', bytes: 700, done: false },
    ];
    expect((await countTokens(drawn, counter)).texts).toEqual([
      { page: 1, bytes: 7, tokens: 2, done: false },
      { page: 1, bytes: 0, tokens: 0, done: true },
      { page: 2, bytes: 700, tokens: 200, done: false },
    ]);
  });
});

describe('probeModel', () => {
  const hash = { provider: 'hash', model: 'hash/8', dimensions: 8 } as const;
  const texts = Array.from({ length: 1000 }, (_, i) => `text number ${i}`);

  it('embeds a part of the texts, evenly chosen', async () => {
    const result = await probeModel(hash, texts, { textsPerRequest: undefined });
    expect(result).toMatchObject({ texts: 256, tokens: 768, requests: undefined, device: 'hash' });
    expect(result?.seconds).toBeGreaterThan(0);
  });

  it('times one request of the size that the backfill will send', async () => {
    expect(await probeModel(hash, texts, { textsPerRequest: 100 })).toMatchObject({ texts: 100, requests: 1 });
  });

  it('measures nothing where there is no text', async () => {
    expect(await probeModel(hash, [], { textsPerRequest: undefined })).toBeUndefined();
  });
});
