import { setMaxListeners } from 'node:events';
import { ModelError, ProviderError } from '../errors.ts';
import { planBatches } from '../models/batching.ts';
import type { LocalModel } from '../models/local-model.ts';
import { type TokenizedText, tokenKey } from '../models/tokenizer.ts';
import type { EncodedBatch } from '../models/worker-messages.ts';
import type { EmbeddingProvider, EmbedOptions, EmbedResult, ModelFingerprint, ProviderHealth } from './types.ts';

/** Texts that are tokenised, sorted and batched together. */
const LOOK_AHEAD = 1024;
/** Tokens of a batch: on the CPU what stays in the L2 cache, elsewhere what keeps the device busy. */
const TOKENS_ON_CPU = 512;
const TOKENS_ON_DEVICE = 16_384;
const SMALLEST_BUDGET = 32;

export interface LocalProviderOptions {
  /** Texts a batch at most. */
  readonly batchSize?: number | undefined;
  /** A revision that the files themselves do not state. */
  readonly revision?: string | undefined;
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** The provider `local`: a model on this machine. Takes over `model` and closes it. */
export function localProvider(name: string, model: LocalModel, options: LocalProviderOptions = {}): EmbeddingProvider {
  const { tokenizer, pool, config, facts, threads } = model;
  const device = `${facts.device} (${threads} ${threads === 1 ? 'thread' : 'threads'})`;
  const budget = tokenBudget(facts.device === 'cpu' ? TOKENS_ON_CPU : TOKENS_ON_DEVICE, options.onNotice);

  async function tokenize(texts: readonly string[], prefix: string): Promise<readonly TokenizedText[]> {
    const tokenized = await tokenizer.tokenize(texts.map((text) => prefix + text));
    const blank = tokenized.findIndex(({ ids }) => ids.length === 0);
    if (blank >= 0) throw withoutTokens(texts[blank] ?? '', name);
    return tokenized;
  }

  async function encode(window: readonly TokenizedText[], embed: EmbedOptions): Promise<Float32Array[]> {
    const lengths = window.map(({ ids }) => ids.length);
    const texts = embed.batchSize ?? options.batchSize ?? Number.POSITIVE_INFINITY;
    const batches = planBatches(lengths, { tokens: budget.current(), texts });
    const vectors: Float32Array[] = new Array(window.length);
    await Promise.all(
      batches.map(async (batch) => {
        const encoded = await pool.run(concatenate(batch, window), embed.signal);
        budget.learn(encoded);
        scatter(encoded.vectors, batch, vectors);
      }),
    );
    return vectors;
  }

  return {
    model: fingerprint(name, model, options.revision),
    embed: (texts, embed) => inWindows(texts, (window) => tokenize(window, config.prefixes[embed.kind]), encode, embed),
    probe: () => probe(device, facts.dimensions, async () => encode(await tokenize(['ok'], ''), { kind: 'query' })),
    close: () => pool.close(),
  };
}

/** Window after window; the next one is tokenised while the threads are busy with the one before. */
async function inWindows(
  texts: readonly string[],
  tokenize: (texts: readonly string[]) => Promise<readonly TokenizedText[]>,
  encode: (window: readonly TokenizedText[], options: EmbedOptions) => Promise<Float32Array[]>,
  options: EmbedOptions,
): Promise<EmbedResult> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  // Every waiting batch listens.
  setMaxListeners(0, signal);
  const encoding: Promise<Float32Array[]>[] = [];
  const tokenKeys: string[] = [];
  let tokens = 0;
  let truncated = 0;
  try {
    for (let start = 0; start < texts.length; start += LOOK_AHEAD) {
      signal.throwIfAborted();
      const window = await tokenize(texts.slice(start, start + LOOK_AHEAD));
      for (const text of window) {
        tokens += text.ids.length;
        truncated += text.truncated ? 1 : 0;
        tokenKeys.push(tokenKey(text.ids));
      }
      const encoded = encode(window, { ...options, signal });
      // Awaited below; until then a failure must not count as unhandled, and the other windows need not go on.
      encoded.catch((error: unknown) => stop.abort(error));
      encoding.push(encoded);
      await encoding.at(-2);
    }
    return { vectors: (await Promise.all(encoding)).flat(), tokens, truncated, tokenKeys };
  } catch (error) {
    stop.abort(error);
    throw error;
  }
}

function concatenate(batch: readonly number[], window: readonly TokenizedText[]) {
  const parts = batch.map((index) => window[index]?.ids ?? new Int32Array());
  const lengths = Int32Array.from(parts, (part) => part.length);
  const ids = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    ids.set(part, offset);
    offset += part.length;
  }
  return { ids, lengths };
}

/** Puts the rows of a batch at the places of their texts, each in memory of its own. */
function scatter(rows: Float32Array, batch: readonly number[], vectors: Float32Array[]): void {
  const dimensions = rows.length / batch.length;
  batch.forEach((index, row) => {
    vectors[index] = rows.slice(row * dimensions, (row + 1) * dimensions);
  });
}

/** The tokens of a batch, halved for good after memory ran out once. */
function tokenBudget(initial: number, onNotice: ((message: string) => void) | undefined) {
  let tokens = initial;
  return {
    current: () => tokens,
    learn: ({ halvings }: EncodedBatch) => {
      if (halvings === 0 || tokens <= SMALLEST_BUDGET) return;
      tokens = Math.max(SMALLEST_BUDGET, tokens >> 1);
      onNotice?.(`Memory ran out: batches were halved and hold ${tokens} tokens from now on.`);
    },
  };
}

function fingerprint(name: string, model: LocalModel, revision: string | undefined): ModelFingerprint {
  const { files, config, facts } = model;
  return {
    provider: 'local',
    name,
    revision: files.manifest?.revision ?? revision ?? null,
    dimensions: facts.dimensions,
    dtype: files.dtype,
    pooling: facts.graphPools ? 'graph' : (config.pooling ?? null),
    normalize: config.normalize,
    prefixes: config.prefixes,
    files: files.hashes,
  };
}

async function probe(device: string, dimensions: number, run: () => Promise<unknown>): Promise<ProviderHealth> {
  const start = performance.now();
  const health = { device, dimensions };
  try {
    await run();
    return {
      ...health,
      ok: true,
      milliseconds: performance.now() - start,
      message: `${dimensions} dimensions on ${device}`,
    };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { ...health, ok: false, milliseconds: performance.now() - start, message: error.message };
  }
}

function withoutTokens(text: string, name: string): ProviderError {
  return new ProviderError(
    'text_without_tokens',
    `The text ${JSON.stringify(text.slice(0, 40))} has no token for ${name}.`,
    {
      retryable: false,
      hint: 'Skip blank texts, or use a model whose tokenizer adds special tokens.',
    },
  );
}
