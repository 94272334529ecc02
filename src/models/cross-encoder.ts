import { join } from 'node:path';
import { ModelError } from '../errors.ts';
import { BATCH_OVERHEAD, planBatches } from './batching.ts';
import { encodeBatches } from './encode-texts.ts';
import type { LocalModelOptions } from './local-model.ts';
import { readModelConfig } from './model-config.ts';
import { type ModelFiles, resolveModelFiles } from './model-files.ts';
import { type OpenPool, openPool } from './open-pool.ts';
import { loadPairTokenizer, type PairTokenizer } from './pair-tokenizer.ts';
import { readStatedModel } from './stated-config.ts';

/** Tokens of a batch on the CPU: what stays in the L2 cache. A device has a plan of its own. */
const BUDGET_ON_CPU = 512;

/** A verified cross-encoder, ready to run. Whoever opened it closes `pool`. */
export interface CrossEncoder extends OpenPool {
  readonly files: ModelFiles;
  readonly tokenizer: PairTokenizer;
}

export interface ScorePairsOptions {
  /** Pairs a batch at most. */
  readonly batchSize: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds, verifies and opens a model that reads a query and a text together and returns one number for them.
 * @throws ModelError naming what is missing, altered or not supported; `graph_invalid` for an embedding model, `labels_unsupported` for one that classifies.
 */
export async function openCrossEncoder(model: string, options: LocalModelOptions = {}): Promise<CrossEncoder> {
  const files = await resolveModelFiles(model, { ...options, task: 'rerank' });
  const config = await readModelConfig(files);
  const tokenizer = loadPairTokenizer(files.directory, config);
  const { padId } = tokenizer;
  const [sample] = await tokenizer.tokenize('reembed', ['reembed']);
  const setup = { pooling: undefined, normalize: false, padId, sample: sample?.ids ?? Int32Array.of(padId) };
  const { width } = await readStatedModel((name) => join(files.directory, name));
  const opened = await openPool(
    { files, task: 'rerank', setup, maxTokens: config.maxTokens, width: width ?? undefined },
    options,
  );
  const { graphPools, dimensions } = opened.facts;
  if (graphPools && dimensions === 1) return { files, tokenizer, ...opened };
  await opened.pool.close();
  throw severalLabels(files, graphPools ? `${dimensions} logits a pair` : 'logits for each token');
}

/**
 * How well each text answers the query: the model's logit, before any sigmoid, which would not change the order. Pairs of like length run
 * together, on all threads.
 * @returns one finite score a text, in the order of the texts.
 * @throws ModelError `score_not_finite`, or as `InferencePool.run`; the signal's reason when it aborts.
 */
export async function scorePairs(
  encoder: CrossEncoder,
  query: string,
  texts: readonly string[],
  { batchSize, signal }: ScorePairsOptions,
): Promise<Float32Array> {
  signal?.throwIfAborted();
  const pairs = await encoder.tokenizer.tokenize(query, texts);
  if (pairs.some(({ ids }) => ids.length === 0)) throw withoutTokens(encoder);
  const batches = planBatches(
    pairs.map(({ ids }) => ids.length),
    {
      tokens: encoder.devicePlan?.tokens ?? BUDGET_ON_CPU,
      texts: batchSize,
      overhead: encoder.facts.device === 'cpu' ? BATCH_OVERHEAD.cpu : BATCH_OVERHEAD.device,
    },
  );
  const scores: Float32Array[] = new Array(texts.length);
  await encodeBatches(encoder.pool, pairs, batches, scores, { signal });
  return Float32Array.from(scores, ([score], index) => finite(score, texts[index], encoder));
}

function finite(score: number | undefined, text: string | undefined, { files }: CrossEncoder): number {
  if (score !== undefined && Number.isFinite(score)) return score;
  const beginning = JSON.stringify(text?.slice(0, 40));
  throw new ModelError(
    'score_not_finite',
    `${files.name} gave ${score} to the text ${beginning}, a number was expected.`,
    {
      hint: 'fp16 overflows in some models: use its fp32 graph.',
    },
  );
}

function severalLabels({ name }: ModelFiles, found: string): ModelError {
  return new ModelError('labels_unsupported', `${name} returns ${found}, a reranker returns one.`, {
    hint: 'It is a classifier. Choose a cross-encoder with one label, e.g. BAAI/bge-reranker-base or cross-encoder/ms-marco-MiniLM-L6-v2.',
  });
}

function withoutTokens({ files }: CrossEncoder): ModelError {
  return new ModelError('text_without_tokens', `${files.name} makes no token of the query with a text.`, {
    hint: 'Leave blank texts out, or use a model whose tokenizer adds special tokens.',
  });
}
