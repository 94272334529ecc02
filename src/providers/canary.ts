import { cosine } from '../vector/math.ts';
import { assertOneVectorEach } from './one-vector-each.ts';
import type { Canary, EmbeddingProvider } from './types.ts';

/** Short and long, prose, code and figures, several scripts: what one model does with one of them another does not. */
export const CANARY_TEXTS: readonly string[] = [
  'harbour',
  'The ferry to the island leaves at a quarter past seven, except on Sundays and when the wind is above force eight.',
  'Wie lange darf eine Prüfung dauern, wenn niemand mehr weiß, wer sie angesetzt hat?',
  'SELECT count(*) FROM orders WHERE shipped_at IS NULL AND total > 1250.75;',
  '図書館は月曜日に休みです。 Библиотека закрыта по понедельникам. المكتبة مغلقة يوم الاثنين.',
  'A gardener keeps a list of what was sown in which bed, because carrots do badly where carrots stood the year before, and nobody remembers ' +
    'after a winter. The list is a page for each spring: rows are beds, columns are weeks, and a pencil mark says when the first leaves came up. ' +
    'Looking back over ten pages shows more about the soil than any measurement.',
];

/** What the service makes of the texts now. @throws ProviderError, as `embed`; `wrong_cardinality` */
export async function embedCanary(
  provider: EmbeddingProvider,
  signal: AbortSignal | undefined,
  texts: readonly string[] = CANARY_TEXTS,
): Promise<Canary> {
  const { vectors } = await provider.embed(texts, { kind: 'document', signal });
  assertOneVectorEach(provider.model, vectors, texts);
  return { texts, vectors };
}

/** Over the texts that both have: 1 for the same model but for rounding; NaN where they have none in common. */
export function lowestCosine(before: Canary, now: Canary): number {
  let lowest = Number.NaN;
  for (const [i, text] of before.texts.entries()) {
    const a = before.vectors[i];
    const b = now.vectors[now.texts.indexOf(text)];
    if (a === undefined || b === undefined) continue;
    // Vectors of different sizes have nothing in common.
    const value = a.length === b.length ? cosine(a, b) : -1;
    if (!(value >= lowest)) lowest = Number.isNaN(value) ? -1 : value;
  }
  return lowest;
}
