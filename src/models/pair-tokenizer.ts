import { join } from 'node:path';
import type { Encoding, Tokenizer } from 'tokenizers';
import type { TokenSequence } from './encode-texts.ts';
import type { ModelConfig } from './model-config.ts';
import { openTokenizer, padIdOf, slices } from './open-tokenizer.ts';

/** A query with one text, as a cross-encoder reads them: one sequence, the special tokens of the model between. */
export interface TokenizedPair extends TokenSequence {
  readonly types: Int32Array;
}

export interface PairTokenizer {
  /** The id with which shorter pairs of a batch are filled up. */
  readonly padId: number;
  /** The pair of the query with each text, in order. Runs outside the event loop, in slices with the loop free between them. */
  tokenize(query: string, texts: readonly string[]): Promise<readonly TokenizedPair[]>;
}

/**
 * Loads `tokenizer.json` for pairs. Special tokens and token types are those of the file's own post-processor; a pair over the model's limit is
 * cut on the right, the longer of the two first, as CrossEncoder of sentence-transformers does it (`truncation="longest_first"`).
 * @throws ModelError `tokenizer_invalid`
 */
export function loadPairTokenizer(directory: string, config: ModelConfig): PairTokenizer {
  const tokenizer = openTokenizer(join(directory, 'tokenizer.json'));
  tokenizer.setTruncation(config.maxTokens, { direction: 'right' });
  const cased = (text: string): string => (config.lowerCase ? text.toLowerCase() : text);
  return {
    padId: padIdOf(tokenizer, config),
    tokenize: async (query, texts) => {
      const pairs: TokenizedPair[] = [];
      for (const slice of slices(texts)) {
        const encodings = await Promise.all(slice.map((text) => encodePair(tokenizer, cased(query), cased(text))));
        for (const encoding of encodings) {
          pairs.push({ ids: Int32Array.from(encoding.getIds()), types: Int32Array.from(encoding.getTypeIds()) });
        }
      }
      return pairs;
    },
  };
}

/** Nothing beside a query is no second text: transformers, too, then encode the query alone, without a separator behind the void. */
function encodePair(tokenizer: Tokenizer, query: string, text: string): Promise<Encoding> {
  return tokenizer.encode(query, text === '' ? null : text);
}
