import type { IncomingMessage } from 'node:http';
import { hashProvider } from '../../src/providers/hash.ts';

export type Protocol = 'openai' | 'tei' | 'huggingface' | 'gemini' | 'rerank' | 'info';

/** One request as it came in. */
export interface RecordedRequest {
  readonly protocol: Protocol;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** The parsed JSON; undefined without a body. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
  /** What it asked to be embedded or scored, in order, prefixes included. */
  readonly texts: readonly string[];
  /** Requests in flight when it came, itself included. */
  readonly inFlight: number;
}

/** One vector as it goes out: `null` stands for what JSON has no number for. */
export type WireVector = readonly (number | null)[] | Float32Array;

/** Vectors in the order in which they go out, each with the index that is claimed for it. */
export interface WireAnswer {
  readonly vectors: readonly { readonly index: number | undefined; readonly values: WireVector }[];
  readonly tokens: number;
}

export function protocolOf(method: string, path: string): Protocol {
  if (method === 'GET' && path.endsWith('/info')) return 'info';
  if (path.endsWith('/embeddings')) return 'openai';
  if (path.endsWith('/embed')) return 'tei';
  if (path.endsWith('/rerank')) return 'rerank';
  return path.endsWith(':batchEmbedContents') ? 'gemini' : 'huggingface';
}

export function textsOf(protocol: Protocol, body: Readonly<Record<string, unknown>> | undefined): readonly string[] {
  if (body === undefined) return [];
  if (protocol === 'gemini') {
    const requests = body.requests as readonly { readonly content: { readonly parts: readonly { text: string }[] } }[];
    return requests.map(({ content }) => content.parts.map(({ text }) => text).join(''));
  }
  if (protocol === 'rerank') return body.texts as string[];
  return [protocol === 'openai' ? body.input : body.inputs].flat() as string[];
}

/**
 * The vectors of the test model `hash/<dimensions>`, so that a test can compute what it expects. Another `model` than the empty one makes
 * other vectors of the same texts.
 */
export async function hashVectors(texts: readonly string[], dimensions: number, model = ''): Promise<Float32Array[]> {
  const salted = model === '' ? texts : texts.map((text) => `${model} ${text}`);
  return (await hashProvider(`hash/${dimensions}`).embed(salted, { kind: 'document' })).vectors;
}

/** Words: the scripted services' token. */
export function countTokens(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.split(/\s+/).length, 0);
}

/** The body of a right answer in `request`'s protocol. */
export function answerBody(request: RecordedRequest, { vectors, tokens }: WireAnswer): unknown {
  switch (request.protocol) {
    case 'openai':
      return {
        object: 'list',
        model: request.body?.model,
        data: vectors.map(({ index, values }) => ({
          object: 'embedding',
          index,
          embedding: request.body?.encoding_format === 'base64' ? base64(values) : [...values],
        })),
        usage: { prompt_tokens: tokens, total_tokens: tokens },
      };
    case 'rerank':
      // The first value of the vector is the score; the order is the service's own.
      return vectors.map(({ index, values }) => ({ index, score: values[0] })).reverse();
    case 'gemini':
      return { embeddings: vectors.map(({ values }) => ({ values: [...values] })) };
    default:
      return vectors.map(({ values }) => [...values]);
  }
}

/** Little-endian float32, as OpenAI sends it; a `null` becomes NaN, which this form can carry. */
function base64(values: WireVector): string {
  return Buffer.from(Float32Array.from(values, (value) => value ?? Number.NaN).buffer).toString('base64');
}
