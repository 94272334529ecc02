import type { ModelReference, RemoteSettings } from '../../config/types.ts';
import { ConfigError, ProviderError } from '../../errors.ts';
import type { JsonAnswer } from './connection.ts';
import { endpointUrl, shownUrl } from './endpoint.ts';
import { countOf, fieldsOf } from './json-fields.ts';
import type { Protocol, WireVector } from './protocol.ts';
import { largestRequest } from './request-limits.ts';
import { type ServedModel, servedModel } from './served-model.ts';

/** What TEI says about itself: https://huggingface.co/docs/text-embeddings-inference/en/quick_tour */
export interface ServerInfo {
  readonly modelId: string;
  readonly revision: string | null;
  readonly dtype: string | null;
  /** What kind of model it is, e.g. `{ embedding: { pooling } }`; undefined where it does not say. */
  readonly type: Readonly<Record<string, unknown>> | undefined;
  readonly maxItems: number;
  readonly maxBatchTokens: number;
  readonly maxTokens: number | undefined;
}

/** TEI's default `--payload-limit` is 2,000,000 bytes. */
export const PAYLOAD_BYTES = 1_900_000;
/** As elsewhere in reembed. */
const DTYPES: Readonly<Record<string, string>> = { float32: 'fp32', float16: 'fp16' };
const POOLINGS: Readonly<Record<string, string>> = { last_token: 'last-token' };

/** @throws ConfigError `base_url_missing`: there is no service of that name */
export function teiUrl(settings: RemoteSettings, path: '/embed' | '/rerank' | '/info'): URL {
  if (settings.baseUrl !== undefined) return endpointUrl(settings.baseUrl, path, settings);
  throw new ConfigError('base_url_missing', 'EMBEDDING_BASE_URL is not set, expected the URL of your TEI server.', {
    step: 'configuration',
    hint: 'Set EMBEDDING_BASE_URL, e.g. http://localhost:8080; see docs/providers/tei.md.',
  });
}

/** @throws ProviderError when the server is no TEI, or serves another model than `reference` names */
export function readInfo(answer: JsonAnswer, url: URL, { model }: ModelReference): ServerInfo {
  const info = readServer(answer, url);
  const { modelId, type } = info;
  if (type !== undefined && embeddingOf(type) === undefined) {
    throw infoRefused('model_differs', `${shownUrl(url)} serves ${modelId}, which is no embedding model.`);
  }
  if (!isSameModel(modelId, model)) {
    throw infoRefused('model_differs', `${shownUrl(url)} serves ${modelId}, the configuration asks for ${model}.`);
  }
  return info;
}

/** What a server says about itself, whatever it serves. @throws ProviderError `server_unknown` when it is no TEI */
export function readServer({ json }: JsonAnswer, url: URL): ServerInfo {
  const info = fieldsOf(json);
  const { model_id: modelId, model_sha: revision, model_dtype: dtype, model_type: type } = info;
  if (typeof modelId !== 'string')
    throw infoRefused('server_unknown', `${shownUrl(url)} does not name a model, expected model_id as TEI has it.`);
  const usual = largestRequest('tei', undefined);
  return {
    modelId,
    revision: typeof revision === 'string' ? revision : null,
    dtype: typeof dtype === 'string' ? (DTYPES[dtype] ?? dtype) : null,
    type: type === undefined ? undefined : fieldsOf(type),
    maxItems: countOf(info.max_client_batch_size) ?? usual.items,
    maxBatchTokens: countOf(info.max_batch_tokens) ?? usual.tokens,
    maxTokens: countOf(info.max_input_length),
  };
}

function embeddingOf(type: ServerInfo['type']): unknown {
  return type?.embedding ?? type?.Embedding;
}

function poolingOf({ type }: ServerInfo): string | null {
  const { pooling } = fieldsOf(embeddingOf(type));
  return typeof pooling === 'string' ? (POOLINGS[pooling] ?? pooling) : null;
}

/** Hugging Face's Text Embeddings Inference. Texts that are too long are cut there. */
export function teiProtocol(reference: ModelReference, url: URL, info: ServerInfo, settings: RemoteSettings): Protocol {
  const served = servedModel(reference, settings);
  return {
    url,
    model: {
      provider: 'tei',
      name: reference.model,
      revision: info.revision,
      dimensions: reference.dimensions,
      dtype: info.dtype,
      pooling: poolingOf(info),
      normalize: true,
      prefixes: served.prefixes,
      files: {},
    },
    limits: {
      items: info.maxItems,
      tokens: info.maxBatchTokens,
      bytes: PAYLOAD_BYTES,
      tokensPerText: info.maxTokens ?? Number.POSITIVE_INFINITY,
      refusesLong: false,
    },
    maxTokens: info.maxTokens ?? served.maxTokens,
    body: inputsBody(served),
    vectors: listOfVectors,
    tokens: ({ headers }) => countOf(Number(headers.get('x-compute-tokens') ?? undefined)),
  };
}

/** What TEI, and Hugging Face's endpoints that run it, are asked with. */
export function inputsBody({ prefixes, dimensions }: Pick<ServedModel, 'prefixes' | 'dimensions'>): Protocol['body'] {
  return (texts, kind) => ({
    inputs: texts.map((text) => prefixes[kind] + text),
    normalize: true,
    truncate: true,
    ...(dimensions === undefined ? {} : { dimensions }),
  });
}

/** An answer that is a list of vectors in the texts' order. */
export function listOfVectors({ json }: JsonAnswer): readonly WireVector[] | undefined {
  return Array.isArray(json) ? json.map((values) => ({ index: undefined, values })) : undefined;
}

/** A server that was started with a directory names that; it could be any model. */
function isSameModel(served: string, asked: string): boolean {
  const [a, b] = [served.toLowerCase(), asked.toLowerCase()];
  return /^[./\\]|^[a-z]:\\/.test(a) || a === b || a.endsWith(`/${b}`) || b.endsWith(`/${a}`);
}

/** What `/info` says is not what was asked for. */
export function infoRefused(code: string, message: string): ProviderError {
  return new ProviderError(code, message, {
    retryable: false,
    scope: 'service',
    hint: 'Check EMBEDDING_BASE_URL, the model that the server was started with (--model-id), and EMBEDDING_MODEL.',
  });
}
