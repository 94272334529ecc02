import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Tokenizer, templateProcessing } from 'tokenizers';
import { ModelError } from '../errors.ts';
import type { TokenSequence } from './encode-texts.ts';
import type { ModelConfig } from './model-config.ts';
import { openTokenizer, padIdOf, slices } from './open-tokenizer.ts';

export interface TokenizedText extends TokenSequence {
  /** True when the text was longer than the model's limit. */
  readonly truncated: boolean;
  /** Equal exactly for texts that are the same to the model. */
  readonly key: string;
}

export interface TextTokenizer {
  /** The id with which shorter texts of a batch are filled up. */
  readonly padId: number;
  /**
   * Token ids of each text, special tokens included, cut at the model's limit. Runs outside the event loop; what comes
   * back is taken over in slices, with the loop free between them.
   */
  tokenize(texts: readonly string[]): Promise<readonly TokenizedText[]>;
}

/**
 * Loads `tokenizer.json` with the limits of the model, whatever truncation and padding the file itself carries:
 * published files often have 128 of both, and sentence-transformers ignores them too.
 * @throws ModelError when the file is not understood.
 */
export async function loadTokenizer(directory: string, config: ModelConfig): Promise<TextTokenizer> {
  const path = join(directory, 'tokenizer.json');
  const tokenizer = openTokenizer(path);
  if (config.endToken !== undefined) await putBehindTexts(tokenizer, config.endToken, path);
  tokenizer.setTruncation(config.maxTokens);
  return {
    padId: padIdOf(tokenizer, config),
    tokenize: async (texts) => {
      const tokenized: TokenizedText[] = [];
      for (const slice of slices(texts)) {
        const inputs = config.lowerCase ? slice.map((text) => text.toLowerCase()) : [...slice];
        for (const encoding of await tokenizer.encodeBatch(inputs)) {
          const ids = Int32Array.from(encoding.getIds());
          tokenized.push({ ids, truncated: encoding.getOverflowing().length > 0, key: tokenKey(ids) });
        }
      }
      return tokenized;
    },
  };
}

/** Models that read their vector off the last token were trained with an end token there. A tokenizer that adds tokens itself is left alone. */
async function putBehindTexts(tokenizer: Tokenizer, endToken: string, path: string): Promise<void> {
  if ((await tokenizer.encode('')).getIds().length > 0) return;
  const id = tokenizer.tokenToId(endToken);
  if (id === null) {
    throw new ModelError(
      'tokenizer_invalid',
      `${path} has no token ${endToken}, which the model reads its vector from.`,
      {
        hint: 'Copy the file again from where the model was published.',
      },
    );
  }
  tokenizer.setPostProcessor(templateProcessing(`$A ${endToken}`, undefined, [[endToken, id]]));
}

/** A short key of token ids: equal exactly when the ids are, save for a collision of 128 bits. */
function tokenKey(ids: Int32Array): string {
  const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  return createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
}
