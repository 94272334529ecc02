import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { type RandomModelOptions, writeRandomModel } from '../../../scripts/make-random-model.ts';
import { loadRuntimeSettings } from '../../../src/config/runtime.ts';
import { openLocalModel } from '../../../src/models/local-model.ts';
import { openReranker } from '../../../src/providers/open-reranker.ts';
import type { Reranker } from '../../../src/providers/reranker.ts';
import { rerankerSettings } from '../../../src/providers/reranker-settings.ts';
import { rerankHits } from '../../../src/search/rerank.ts';
import { EmbeddingsService } from '../../../src/service/embeddings-service.ts';
import { TINY_FIXTURE, writeTinyCrossEncoder } from '../../helpers/tiny-cross-encoder.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

interface GoldenPair {
  readonly query: string;
  readonly text: string;
  readonly logit: number;
}

const golden: readonly GoldenPair[] = JSON.parse(await readFile(join(TINY_FIXTURE, 'golden.json'), 'utf8'));
const tiny = await writeTinyCrossEncoder(await temporaryDirectory());
const reranker = await openReranker({ model: tiny, device: 'cpu', threads: 2 });
afterAll(() => reranker.close());

async function open(model: string): Promise<Reranker> {
  const opened = await openReranker({ model, device: 'cpu', threads: 1 });
  onTestFinished(() => opened.close());
  return opened;
}

/** A cross-encoder whose score is 2 · mean of the tokens' embeddings + the share of tokens in the second text. */
async function randomReranker(options: RandomModelOptions): Promise<string> {
  const directory = await temporaryDirectory();
  await writeRandomModel(directory, { dimensions: 1, outputs: ['logits'], scores: true, modules: false, ...options });
  return directory;
}

describe('a cross-encoder on this machine', () => {
  test('gives the logits that PyTorch gives, long pairs and empty texts included', async () => {
    for (const query of new Set(golden.map((pair) => pair.query))) {
      const pairs = golden.filter((pair) => pair.query === query);
      const texts = pairs.map(({ text }) => text);
      const together = await reranker.score(query, texts);
      const alone = await reranker.score(query, texts, { batchSize: 1 });
      for (const [index, { logit, text }] of pairs.entries()) {
        const pair = `${query} / ${text.slice(0, 40)}`;
        expect(Math.abs((together[index] ?? Number.NaN) - logit), pair).toBeLessThan(1e-3);
        expect(Math.abs((alone[index] ?? Number.NaN) - logit), pair).toBeLessThan(1e-3);
      }
    }
    expect(await reranker.score('nothing to read', [])).toEqual(new Float32Array());
    expect(reranker.model).toMatchObject({ provider: 'local', name: tiny, dtype: 'fp32' });
    expect(Object.keys(reranker.model.files)).toEqual(['onnx/model.onnx', 'tokenizer.json', 'config.json']);
  });

  test('in half precision and with batches halved for want of memory gives the same, each token still of its own text', async () => {
    // 12 and 7 tokens: near enough to be one batch, and different enough to show the types of another pair.
    const texts = ['of lists', 'of red trees and green ones too', 'of trees', 'of all tables and many rows here'];
    const plain = await (await open(await randomReranker({}))).score('an index', texts);
    const halved = await open(await randomReranker({ largestBatch: 2, half: true, graph: 'onnx/model_fp16.onnx' }));
    expect(halved.model.dtype).toBe('fp16');
    const scores = await halved.score('an index', texts);
    for (const [index, score] of plain.entries()) expect(scores[index]).toBeCloseTo(score, 2);
  });

  test('never gives a score that is no number, as where half precision overflows', async () => {
    const overflowing = await open(await randomReranker({ scale: 1e6, half: true }));
    await expect(overflowing.score('an index', ['of lists'])).rejects.toMatchObject({
      code: 'score_not_finite',
      message: expect.stringMatching(/ gave -?Infinity to the text "of lists", a number was expected\.$/),
    });
  });
});

describe('what is no reranker is refused with a sentence', () => {
  test('an embedding model', async () => {
    await expect(open('sentence-transformers/all-MiniLM-L6-v2')).rejects.toMatchObject({
      code: 'graph_invalid',
      message: expect.stringMatching(
        /model_int8\.onnx has no output logits; it has .*: it is an embedding model's, not a cross-encoder's\.$/,
      ),
      hint: expect.stringContaining('RERANK_MODEL'),
    });
  });

  test('a classifier of several labels', async () => {
    await expect(open(await randomReranker({ dimensions: 3 }))).rejects.toMatchObject({
      code: 'labels_unsupported',
      message: expect.stringMatching(/ returns 3 logits a pair, a reranker returns one\.$/),
    });
  });

  test('and a cross-encoder is no embedding model', async () => {
    await expect(openLocalModel(tiny, { device: 'cpu' })).rejects.toMatchObject({
      code: 'graph_invalid',
      message: expect.stringMatching(/has none of sentence_embedding, .*; it has logits\.$/),
      hint: expect.stringContaining('RERANK_MODEL'),
    });
  });

  test('a model that is not there', async () => {
    const settings = rerankerSettings(loadRuntimeSettings({ REEMBED_MODELS_DIR: '/nonexistent' }));
    await expect(openReranker(settings)).rejects.toMatchObject({
      code: 'model_missing',
      message: 'The model BAAI/bge-reranker-base is neither a directory nor under /nonexistent.',
      hint: expect.stringMatching(/^Run "reembed model pull BAAI\/bge-reranker-base"\. .*RERANK_MODEL/),
    });
  });
});

describe('the application', () => {
  const env = { EMBEDDING_MODEL: 'hash/64', RERANK_MODEL: tiny, EMBEDDING_DEVICE: 'cpu', EMBEDDING_THREADS: '1' };
  const query = 'how do I create an index concurrently';
  const pairs = golden.filter((pair) => pair.query === query);
  const texts = pairs.map(({ text }) => text);
  const order = pairs.map((_, index) => index).sort((a, b) => (pairs[b]?.logit ?? 0) - (pairs[a]?.logit ?? 0));

  test('has the texts ranked by the reranker of the environment, EMBEDDING_DTYPE aside', async () => {
    const service = await EmbeddingsService.initFromEnv({
      env: { ...env, ENABLE_RERANKER: '1', EMBEDDING_DTYPE: 'int8' },
    });
    expect(await service.rerank(query, texts)).toEqual(order);
    const best = await service.rerankWithScores(query, texts, { topK: 2 });
    expect(best.map(({ index }) => index)).toEqual(order.slice(0, 2));
    expect(best[0]?.score).toBeCloseTo(pairs[order[0] ?? 0]?.logit ?? 0, 3);
    await service.close();
    await expect(service.rerank(query, texts)).rejects.toMatchObject({ code: 'service_closed' });
  });

  test('is told when none is configured, and when it cannot be opened', async () => {
    const without = await EmbeddingsService.initFromEnv({ env });
    await expect(without.rerank(query, texts)).rejects.toMatchObject({
      code: 'reranker_disabled',
      hint: expect.stringContaining('ENABLE_RERANKER=1'),
    });
    const model = { provider: 'hash', model: 'hash/64', dimensions: 64 } as const;
    const wrong = await EmbeddingsService.init({ model, reranker: { model: '/nonexistent' } });
    await expect(wrong.rerank(query, texts)).rejects.toMatchObject({ code: 'model_missing' });
    await Promise.all([without.close(), wrong.close()]);
  });

  test('gets the hits of a search in the new order, and loses none that was not read', async () => {
    const hits = pairs.map(({ text }, key) => ({ key, text: key === 3 ? null : text }));
    const textOf = (hit: (typeof hits)[number]) => hit.text;
    const read = order.filter((key) => key !== 3 && key < 6);
    const reranked = await rerankHits(hits, { query, reranker, textOf, topK: 6, returnTopK: 100 });
    expect(reranked.map(({ hit }) => hit.key)).toEqual([...read, 3, ...order.filter((key) => key >= 6).sort()]);
    expect(reranked.map(({ score }) => score !== undefined)).toEqual(hits.map((_, place) => place < read.length));
    const few = await rerankHits(hits, { query, reranker, textOf, topK: 6, returnTopK: 2 });
    expect(few.map(({ hit }) => hit.key)).toEqual(read.slice(0, 2));
  });
});
