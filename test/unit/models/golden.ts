import { readFileSync } from 'node:fs';

export interface GoldenText {
  readonly text: string;
  readonly inputIds: readonly number[];
  /** sentence-transformers' own vector, fp32. */
  readonly embedding: Float32Array;
  /** The cosine that the int8 graph reached against it. */
  readonly int8Cosine: number;
}

interface GoldenItem {
  readonly text: string;
  readonly input_ids: readonly number[];
  readonly embedding: readonly number[];
  readonly int8_cosine: number;
}

/** Texts with the token ids and vectors of sentence-transformers. */
export function goldenTexts(): readonly GoldenText[] {
  const file = new URL('../../fixtures/golden-minilm.json', import.meta.url);
  const { items } = JSON.parse(readFileSync(file, 'utf8')) as { readonly items: readonly GoldenItem[] };
  return items.map((item) => ({
    text: item.text,
    inputIds: item.input_ids,
    embedding: Float32Array.from(item.embedding),
    int8Cosine: item.int8_cosine,
  }));
}
