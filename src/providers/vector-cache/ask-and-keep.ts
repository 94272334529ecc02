import { assertOneVectorEach } from '../one-vector-each.ts';
import type { Answer, EmbeddingProvider, EmbedOptions } from '../types.ts';
import { type EmbeddedText, withTruncation, worthKeeping } from './keep-vectors.ts';
import type { KeptVector, NewVector } from './record.ts';

/** A text with what it is looked up by, and the same in hexadecimal digits. */
export interface WantedText {
  readonly id: string;
  readonly key: Buffer;
  readonly text: string;
}

export interface Asked {
  readonly vectors: ReadonlyMap<string, KeptVector>;
  readonly tokens: number;
}

/**
 * Asks the provider for different texts, and keeps each answer before the next one counts: what was paid for is there when a later
 * request fails, and when this process is killed.
 */
export async function askAndKeep(
  provider: EmbeddingProvider,
  wanted: readonly WantedText[],
  options: EmbedOptions,
  keep: (vectors: readonly NewVector[]) => Promise<void>,
): Promise<Asked> {
  const answered = new Map<string, NewVector>();

  async function take({ positions, vectors, truncated }: Answer, tokenKeys?: readonly string[]): Promise<void> {
    const embedded = positions.flatMap((position, i): EmbeddedText[] => {
      const text = wanted[position];
      const vector = vectors[i];
      return text === undefined || vector === undefined ? [] : [{ ...text, vector, tokenKey: tokenKeys?.[position] }];
    });
    const fresh = withTruncation(embedded, truncated);
    for (const each of fresh) answered.set(each.key.toString('hex'), each);
    await keep(worthKeeping(fresh, provider.model));
  }

  const texts = wanted.map(({ text }) => text);
  const result = await provider.embed(texts, { ...options, onAnswer: (answer) => take(answer) });
  assertOneVectorEach(provider.model, result.vectors, texts);
  const rest = wanted.flatMap(({ id }, position) => (answered.has(id) ? [] : [position]));
  const known = [...answered.values()].filter(({ truncated }) => truncated).length;
  const vectors = rest.map((position) => result.vectors[position] ?? new Float32Array());
  await take({ positions: rest, vectors, truncated: result.truncated - known }, result.tokenKeys);
  return { vectors: answered, tokens: result.tokens };
}
