import { hashProvider } from '../../../src/providers/hash.ts';
import type { EmbeddingProvider, EmbedOptions } from '../../../src/providers/types.ts';

export interface CountingProvider extends EmbeddingProvider {
  /** Every text that was asked for, in order, as `kind text`. */
  readonly asked: string[];
}

export interface CountingOptions {
  /** Texts a request: each request is answered by itself, as a service's provider does. */
  readonly perRequest?: number;
  /** Called before a request is answered; throws to fail it. */
  readonly before?: (texts: readonly string[]) => Promise<void> | void;
  readonly name?: string;
  /** What is really computed: another model under the same name. */
  readonly actual?: () => EmbeddingProvider;
  readonly truncated?: (text: string) => boolean;
}

/** Real vectors under the name of a service, and a record of what was asked. */
export function countingProvider(options: CountingOptions = {}): CountingProvider {
  const { perRequest = Number.POSITIVE_INFINITY, before, name = 'embed-8', truncated = () => false } = options;
  const inner = hashProvider('hash/8');
  const asked: string[] = [];
  return {
    ...inner,
    asked,
    model: { ...inner.model, provider: 'openai', name, revision: null, dtype: null },
    async embed(texts, embed: EmbedOptions) {
      const vectors: Float32Array[] = [];
      let tokens = 0;
      for (let start = 0; start < texts.length; start += perRequest) {
        const part = texts.slice(start, start + perRequest);
        await before?.(part);
        asked.push(...part.map((text) => `${embed.kind} ${text}`));
        const answer = await (options.actual?.() ?? inner).embed(part, embed);
        tokens += answer.tokens;
        vectors.push(...answer.vectors);
        const positions = part.map((_, i) => start + i);
        await embed.onAnswer?.({ positions, vectors: answer.vectors, truncated: part.filter(truncated).length });
      }
      return { vectors, tokens, truncated: texts.filter(truncated).length };
    },
  };
}
