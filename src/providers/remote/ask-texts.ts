import { ProviderError } from '../../errors.ts';
import type { EmbedOptions } from '../types.ts';
import { cutText } from './cut-text.ts';
import { shownUrl } from './endpoint.ts';
import { estimatedTokens, jsonBytes, packRequests, type RequestLimits } from './pack-requests.ts';
import type { Protocol } from './protocol.ts';
import { readVectors } from './read-vectors.ts';
import { RequestFailure } from './request-failure.ts';
import type { Sender } from './sender.ts';

/** Texts that are asked for together. */
export interface Question {
  readonly texts: readonly string[];
  readonly kind: EmbedOptions['kind'];
  readonly signal: AbortSignal;
  /** Position of the first text in what was given to the provider. */
  readonly from: number;
  readonly onAnswer?: EmbedOptions['onAnswer'];
}

export interface Part {
  readonly vectors: readonly Float32Array[];
  readonly tokens: number;
  /** Texts that were cut, because the service refused them as too long. */
  readonly truncated: number;
}

/** One service, and what was learned of it. */
export interface Service {
  readonly protocol: Protocol;
  readonly sender: Sender;
  /** What a request holds at most: less once the service has refused so much. */
  limits: RequestLimits;
  hasAnswered: boolean;
}

/**
 * Halves what the service finds too large, down to one text, and remembers what passed. A single text that it finds too long is cut,
 * as models that run here cut it.
 */
export async function askTexts(service: Service, question: Question): Promise<Part> {
  const { texts } = question;
  const [text] = texts;
  if (texts.length === 1 && text !== undefined) return askOneText(service, question, text);
  const [first = texts] = packRequests(texts, service.limits);
  const answer = first.length === texts.length ? await answerOrRefusal(service, question) : undefined;
  if (answer !== undefined && !(answer instanceof RequestFailure)) return answer;
  const refusal = answer;
  const middle = refusal === undefined ? first.length : Math.ceil(texts.length / 2);
  const halves = [texts.slice(0, middle), texts.slice(middle)] as const;
  const left = await askTexts(service, { ...question, texts: halves[0] });
  const right = await askTexts(service, { ...question, texts: halves[1], from: question.from + middle });
  // Only when both halves passed: else one text may be what is too large.
  if (refusal !== undefined) service.limits = lowered(service.limits, halves, refusal);
  return {
    vectors: [...left.vectors, ...right.vectors],
    tokens: left.tokens + right.tokens,
    truncated: left.truncated + right.truncated,
  };
}

/** The answer, or how the service said that the request is too large. */
async function answerOrRefusal(service: Service, question: Question): Promise<Part | RequestFailure> {
  return askOnce(service, question).catch((error: unknown) => {
    if (error instanceof RequestFailure) return error;
    throw error;
  });
}

/** What passed is the most from now on: so many texts, or, where not their number was refused, so many bytes. Short texts still go together then. */
function lowered(
  limits: RequestLimits,
  halves: readonly [readonly string[], readonly string[]],
  { details }: RequestFailure,
): RequestLimits {
  if (details.isAboutCount === true) return { ...limits, items: Math.min(limits.items, halves[0].length) };
  return { ...limits, bytes: Math.min(limits.bytes, Math.max(...halves.map(jsonBytes))) };
}

async function askOneText(service: Service, question: Question, text: string): Promise<Part> {
  let cut = text;
  for (;;) {
    try {
      return await askOnce(service, { ...question, texts: [cut] }, cut === text ? 0 : 1);
    } catch (error) {
      const shorter = error instanceof ProviderError ? cutText(cut, error.message) : undefined;
      if (shorter === undefined) throw error;
      cut = shorter;
    }
  }
}

/** @throws RequestFailure `too-large`, and nothing else of that class */
async function askOnce(
  service: Service,
  { texts, kind, signal, from, onAnswer }: Question,
  truncated = 0,
): Promise<Part> {
  const { protocol, sender } = service;
  const { url, model } = protocol;
  const estimate = estimatedTokens(texts, protocol.limits);
  const answer = await sender.send(() => ({ url, body: protocol.body(texts, kind), texts: texts.length }), {
    cost: { tokens: estimate, counted: (reply) => protocol.tokens(reply) },
    adapt: (failure, body) => protocol.adapt?.(failure, body) ?? false,
    signal,
  });
  service.hasAnswered = true;
  const vectors = readVectors(protocol.vectors(answer), texts.length, model, shownUrl(url));
  await onAnswer?.({ positions: texts.map((_, i) => from + i), vectors, truncated });
  return { vectors, tokens: protocol.tokens(answer) ?? estimate, truncated };
}

/**
 * The error with the right one to blame. A service that has not answered anything yet may refuse every text, for a parameter that it does
 * not know: one harmless text tells, before somebody looks for a bad one among thousands.
 */
export async function blame(service: Service, error: unknown, question: Question): Promise<unknown> {
  if (!(error instanceof ProviderError) || error.scope !== 'text' || service.hasAnswered) return error;
  try {
    await askTexts(service, { texts: ['ok'], kind: question.kind, signal: question.signal, from: 0 });
    return error;
  } catch (again) {
    if (!(again instanceof ProviderError)) return again;
    const { code, message, hint, context } = error;
    const details = { retryable: false, scope: 'service', context } as const;
    return new ProviderError(code, message, hint === undefined ? details : { ...details, hint });
  }
}
