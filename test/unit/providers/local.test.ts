import { afterAll, describe, expect, test } from 'vitest';
import { createProvider } from '../../../src/providers/create-provider.ts';
import { cosine } from '../../../src/vector/math.ts';
import { goldenTexts } from '../models/golden.ts';

const golden = goldenTexts();
const BUNDLED = 'sentence-transformers/all-MiniLM-L6-v2';
const notices: string[] = [];
const provider = await createProvider(
  { provider: 'local', model: BUNDLED, dimensions: 384 },
  { device: 'cpu', threads: 2, onNotice: (message) => notices.push(message) },
);
afterAll(() => provider.close());

const sentences = Array.from(
  { length: 60 },
  (_, i) => `Sentence ${i}: ${'the vacuum removes dead rows '.repeat(i % 7)}`,
);

describe('the bundled model', () => {
  test('says which device it runs on', () => {
    expect(notices).toEqual([`${BUNDLED} (int8) runs on cpu, 2 threads`]);
  });

  test.each(golden.map((item) => [JSON.stringify(item.text.slice(0, 30)), item] as const))(
    'embeds %s as sentence-transformers does',
    async (_, item) => {
      const { vectors, tokens } = await provider.embed([item.text], { kind: 'document' });
      const similarity = cosine(vectors[0] ?? new Float32Array(), item.embedding);
      expect(tokens).toBe(item.inputIds.length);
      expect(similarity).toBeGreaterThanOrEqual(0.96);
      // CPUs differ in their int8 kernels, by less than this.
      expect(Math.abs(similarity - item.int8Cosine)).toBeLessThan(0.005);
    },
  );

  test('returns each vector at the place of its text, whatever order it was computed in', async () => {
    const together = await provider.embed(sentences, { kind: 'document' });
    expect(together.vectors).toHaveLength(sentences.length);
    const keys = together.tokenKeys ?? [];
    for (const [index, text] of sentences.entries()) {
      const alone = await provider.embed([text], { kind: 'document' });
      expect(
        cosine(together.vectors[index] ?? new Float32Array(), alone.vectors[0] ?? new Float32Array()),
      ).toBeGreaterThan(0.96);
      expect(alone.tokenKeys).toEqual([keys[index]]);
    }
    expect(new Set(keys).size).toBe(sentences.length);
  });

  test('keeps the order over several look-ahead windows', async () => {
    const texts = Array.from({ length: 2100 }, (_, i) => (i % 2 === 0 ? 'cat' : 'a relational database'));
    const { vectors, tokenKeys } = await provider.embed(texts, { kind: 'document' });
    expect(vectors).toHaveLength(2100);
    const [cat, database] = vectors;
    for (const index of [2, 1023, 1024, 2047, 2048, 2099]) {
      const own = index % 2 === 0 ? cat : database;
      expect(cosine(vectors[index] ?? new Float32Array(), own ?? new Float32Array())).toBeGreaterThan(0.96);
      expect(tokenKeys?.[index]).toBe(tokenKeys?.[index % 2]);
    }
  });

  test('makes vectors of length 1, each in memory of its own', async () => {
    const { vectors } = await provider.embed(['one', 'two'], { kind: 'document' });
    for (const vector of vectors) {
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
      expect(vector.buffer.byteLength).toBe(384 * 4);
    }
  });

  test('embeds no texts without running the graph, which would end the process', async () => {
    expect(await provider.embed([], { kind: 'document' })).toEqual({
      vectors: [],
      tokens: 0,
      truncated: 0,
      tokenKeys: [],
    });
  });

  test('counts the texts that were cut', async () => {
    const { truncated, tokens } = await provider.embed(['word '.repeat(300), 'word'], { kind: 'document' });
    expect([truncated, tokens]).toEqual([1, 256 + 3]);
  });

  test('leaves the event loop free while 1,000 texts are encoded', async () => {
    const thousand = Array.from({ length: 1000 }, (_, i) => `Text ${i}: ${'dead rows '.repeat(1 + (i % 12))}`);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 10);
    const start = performance.now();
    await provider.embed(thousand, { kind: 'document' });
    const possible = (performance.now() - start) / 10;
    clearInterval(timer);
    // Had the graph run in this thread, or were all texts taken over at once, the timer would hardly come to its turn.
    expect(ticks).toBeGreaterThan(possible / 4);
  });

  test('stops when asked to, with the reason given, and goes on afterwards', async () => {
    const stop = new AbortController();
    const reason = new Error('enough');
    const running = provider.embed(
      Array.from({ length: 500 }, () => 'word '.repeat(200)),
      { kind: 'document', signal: stop.signal },
    );
    setTimeout(() => stop.abort(reason), 20);
    await expect(running).rejects.toBe(reason);
    expect((await provider.embed(['still here'], { kind: 'document' })).vectors).toHaveLength(1);
  });

  test('answers a probe', async () => {
    expect(await provider.probe()).toMatchObject({ ok: true, device: 'cpu (2 threads)', dimensions: 384 });
  });

  test('has a fingerprint that names the files', () => {
    expect(provider.model).toMatchObject({ provider: 'local', name: BUNDLED, dtype: 'int8', normalize: true });
    expect(provider.model.files['onnx/model_int8.onnx']).toMatch(/^34ee93338d01/);
  });
});

test('a model of other dimensions than configured is refused with both numbers', async () => {
  await expect(createProvider({ provider: 'local', model: BUNDLED, dimensions: 512 })).rejects.toMatchObject({
    code: 'dimensions_differ',
    message: `${BUNDLED} makes 384 dimensions, the configuration asks for 512.`,
    hint: expect.stringContaining('EMBEDDING_DIMENSIONS'),
  });
});

test('another revision than pinned is refused', async () => {
  const wanted = { provider: 'local', model: BUNDLED, dimensions: 384, revision: 'abc' } as const;
  await expect(createProvider(wanted)).rejects.toMatchObject({ code: 'revision_differs' });
});

test.each(['cuda', 'webgpu'] as const)('%s is refused for the int8 graph, not replaced by the CPU', async (device) => {
  const opening = createProvider({ provider: 'local', model: BUNDLED, dimensions: 384 }, { device });
  await expect(opening).rejects.toMatchObject({
    code: 'device_refused',
    hint: expect.stringContaining('EMBEDDING_DEVICE=cpu'),
  });
});

const fp32 = process.env.REEMBED_TEST_FP32_MODEL;
const whyNot = fp32 === undefined ? ' (skipped: REEMBED_TEST_FP32_MODEL names no directory)' : '';
test.skipIf(fp32 === undefined)(`the fp32 graph equals sentence-transformers to 0.99999${whyNot}`, async () => {
  const model = await createProvider(
    { provider: 'local', model: fp32 ?? '', dimensions: 384 },
    { device: 'cpu', dtype: 'fp32', threads: 2 },
  );
  const { vectors } = await model.embed(
    golden.map(({ text }) => text),
    { kind: 'document' },
  );
  await model.close();
  expect(model.model).toMatchObject({ dtype: 'fp32', pooling: 'mean', normalize: true });
  for (const [index, item] of golden.entries()) {
    expect(cosine(vectors[index] ?? new Float32Array(), item.embedding)).toBeGreaterThan(0.99999);
  }
});
