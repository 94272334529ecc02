import { describe, expect, it } from 'vitest';
import { providerSource } from '../../../src/backfill/provider-source.ts';
import { ProviderError } from '../../../src/errors.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import type { EmbeddingProvider } from '../../../src/providers/types.ts';

const rowsOf = (texts: readonly string[]) => texts.map((text, i) => ({ key: [String(i)], text }));

/** The hash provider, which refuses texts that contain `poison`; it counts what it is asked. */
function pickyProvider(): EmbeddingProvider & { readonly asked: string[][] } {
  const inner = hashProvider('hash/32');
  const asked: string[][] = [];
  return {
    ...inner,
    asked,
    async embed(texts, options) {
      asked.push([...texts]);
      if (texts.some((text) => text.includes('poison'))) {
        throw new ProviderError('rejected', 'This input was rejected.', { retryable: false });
      }
      return inner.embed(texts, options);
    },
  };
}

describe('a provider as the source of a backfill', () => {
  it('finds the one bad text by bisection and keeps the others', async () => {
    const provider = pickyProvider();
    const texts = Array.from({ length: 64 }, (_, i) => (i === 37 ? 'poison' : `text ${i}`));
    const { rows } = await providerSource(provider).produce(rowsOf(texts), undefined);
    expect(rows.filter((row) => row.kind === 'failed')).toHaveLength(1);
    expect(rows[37]).toEqual({ kind: 'failed', reason: 'This input was rejected.' });
    // Two calls a halving, not one a row.
    expect(provider.asked.length).toBeLessThan(16);
  });

  it('throws when every text fails: then it is not the texts', async () => {
    await expect(providerSource(pickyProvider()).produce(rowsOf(['poison 1', 'poison 2']), undefined)).rejects.toThrow(
      'rejected',
    );
  });

  it('embeds equal texts once and gives each row its vector', async () => {
    const provider = pickyProvider();
    const { rows } = await providerSource(provider).produce(rowsOf(['a', 'b', 'a', 'a']), undefined);
    expect(provider.asked).toEqual([['a', 'b']]);
    expect(rows[0]).toEqual(rows[2]);
    expect(rows[0]).not.toEqual(rows[1]);
  });

  it('refuses a provider that returns fewer vectors than texts', async () => {
    const inner = hashProvider('hash/32');
    const short: EmbeddingProvider = {
      ...inner,
      embed: async (texts, options) => {
        const result = await inner.embed(texts, options);
        return { ...result, vectors: result.vectors.slice(1) };
      },
    };
    await expect(providerSource(short).produce(rowsOf(['a']), undefined)).rejects.toThrow('0 vectors for 1 texts');
  });
});
