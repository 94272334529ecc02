import { setMaxListeners } from 'node:events';
import { messageOf, ProviderError } from '../errors.ts';
import type { LocalModel } from '../models/local-model.ts';
import type { TokenizedText } from '../models/tokenizer.ts';
import { WindowEncoder, type WindowEncoderOptions } from '../models/window-encoder.ts';
import { isFiniteVector, isZeroVector } from '../vector/math.ts';
import type { EmbeddingProvider, EmbedOptions, EmbedResult, ModelFingerprint, ProviderHealth } from './types.ts';

/** Texts that are tokenised, sorted and batched together. */
const LOOK_AHEAD = 1024;

export interface LocalProviderOptions extends WindowEncoderOptions {
  /** A revision that the files themselves do not state. */
  readonly revision?: string | undefined;
}

/** The provider `local`: a model on this machine. Takes over `model` and closes it. */
export function localProvider(name: string, model: LocalModel, options: LocalProviderOptions = {}): EmbeddingProvider {
  const { tokenizer, pool, config, facts, threads } = model;
  const device = `${model.device} (${threads} ${threads === 1 ? 'thread' : 'threads'})`;
  const encoder = new WindowEncoder(model, options);

  async function tokenize(texts: readonly string[], prefix: string): Promise<readonly TokenizedText[]> {
    const tokenized = await tokenizer.tokenize(prefix === '' ? texts : texts.map((text) => prefix + text));
    const blank = tokenized.findIndex(({ ids }) => ids.length === 0);
    if (blank >= 0) throw withoutTokens(texts[blank] ?? '', name);
    return tokenized;
  }

  const encode: EncodeWindow = (window, embed) => encoder.encode(window, embed);
  return {
    model: fingerprint(name, model, options.revision),
    maxTokens: config.maxTokens,
    device,
    embed: (texts, embed) => inWindows(texts, (window) => tokenize(window, config.prefixes[embed.kind]), encode, embed),
    probe: () => probe(device, facts.dimensions, async () => encoder.encode(await tokenize(['ok'], ''))),
    close: () => pool.close(),
  };
}

type EncodeWindow = (window: readonly TokenizedText[], options: EmbedOptions) => Promise<Float32Array[]>;

/** Window after window; the next one is tokenised while the threads are busy with the one before. */
async function inWindows(
  texts: readonly string[],
  tokenize: (texts: readonly string[]) => Promise<readonly TokenizedText[]>,
  encode: EncodeWindow,
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
        tokenKeys.push(text.key);
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

/** Never throws: whatever goes wrong is what was asked for. A vector that must not be stored is a failure too. */
async function probe(device: string, dimensions: number, run: () => Promise<Float32Array[]>): Promise<ProviderHealth> {
  const start = performance.now();
  const health = { device, dimensions };
  try {
    const [vector] = await run();
    const problem = whatIsWrong(vector, dimensions);
    const message = problem ?? `${dimensions} dimensions on ${device}`;
    return { ...health, ok: problem === undefined, milliseconds: performance.now() - start, message };
  } catch (error) {
    return { ...health, ok: false, milliseconds: performance.now() - start, message: messageOf(error) };
  }
}

function whatIsWrong(vector: Float32Array | undefined, dimensions: number): string | undefined {
  if (vector?.length !== dimensions) return `The text "ok" got ${vector?.length ?? 0} values instead of ${dimensions}.`;
  if (!isFiniteVector(vector)) return 'The vector of the text "ok" holds NaN or Infinity.';
  return isZeroVector(vector) ? 'The vector of the text "ok" is zero.' : undefined;
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
