import { ModelError, messageOf, ProviderError } from '../errors.ts';
import { assertOneVectorEach } from '../providers/one-vector-each.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import type { Produced, ProducedBatch, SourceRow, TextVectorSource } from './types.ts';

const TEXT_ERRORS: ReadonlySet<string> = new Set([
  'vector_missing',
  'text_without_tokens',
  // Of a service that has taken other texts.
  'request_refused',
  'vector_not_finite',
]);
const MANY_TEXTS = 8;

/** Embeds text. Equal texts of a batch are embedded once; a row that alone makes the provider fail is found by bisection. */
export function providerSource(provider: EmbeddingProvider): TextVectorSource {
  return {
    needs: 'text',
    model: provider.model,
    maxTokens: provider.maxTokens,
    async produce(rows, signal) {
      const texts = [...new Set(rows.map((row) => row.text))];
      const { produced, tokens, truncated } = await embedTexts(provider, texts, signal);
      const byText = new Map(texts.map((text, i) => [text, produced[i]]));
      return { rows: rows.map((row) => found(byText, row)), tokens, truncated };
    },
  };
}

function found(byText: ReadonlyMap<string, Produced | undefined>, row: SourceRow): Produced {
  const produced = byText.get(row.text);
  if (produced === undefined) throw new Error(`no result for the row with key ${row.key.join(', ')}`);
  return produced;
}

interface TextResults extends Omit<ProducedBatch, 'rows'> {
  readonly produced: readonly Produced[];
}

async function embedTexts(
  provider: EmbeddingProvider,
  texts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<TextResults> {
  try {
    return await embedOnce(provider, texts, signal);
  } catch (error) {
    const named = namesItsText(error);
    if (!mayBeOneText(error) || (texts.length < 2 && !named)) throw error;
    const results = await bisect(provider, texts, signal);
    // When not one of many texts passes, the texts are not what is wrong.
    const allFailed = results.produced.every((row) => row.kind === 'failed');
    if (allFailed && (!named || texts.length >= MANY_TEXTS)) throw error;
    return results;
  }
}

async function embedOnce(
  provider: EmbeddingProvider,
  texts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<TextResults> {
  const result = await provider.embed(texts, { kind: 'document', signal });
  assertOneVectorEach(provider.model, result.vectors, texts);
  const produced = result.vectors.map(
    (vector, i): Produced => ({ kind: 'vector', vector, tokenKey: result.tokenKeys?.[i] }),
  );
  return { produced, tokens: result.tokens, truncated: result.truncated };
}

/** Halves until the texts that fail stand alone: log2(n) extra calls for one bad text. */
async function bisect(
  provider: EmbeddingProvider,
  texts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<TextResults> {
  try {
    return await embedOnce(provider, texts, signal);
  } catch (error) {
    if (!mayBeOneText(error)) throw error;
    if (texts.length === 1)
      return { produced: [{ kind: 'failed', reason: messageOf(error) }], tokens: 0, truncated: 0 };
    const middle = Math.ceil(texts.length / 2);
    const left = await bisect(provider, texts.slice(0, middle), signal);
    const right = await bisect(provider, texts.slice(middle), signal);
    return {
      produced: [...left.produced, ...right.produced],
      tokens: left.tokens + right.tokens,
      truncated: left.truncated + right.truncated,
    };
  }
}

/** Errors about a text that would be the same for it in any company. */
function namesItsText(error: unknown): boolean {
  return error instanceof ProviderError && TEXT_ERRORS.has(error.code);
}

/** Errors that one text can cause; a missing file or a stopped worker is not among them. */
function mayBeOneText(error: unknown): boolean {
  if (error instanceof ProviderError) return !error.retryable && error.scope === 'text';
  return error instanceof ModelError && error.code === 'inference_failed';
}
