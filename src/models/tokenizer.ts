import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Tokenizer } from 'tokenizers';
import { ModelError, messageOf } from '../errors.ts';
import type { ModelConfig } from './model-config.ts';

export interface TokenizedText {
  readonly ids: Int32Array;
  /** True when the text was longer than the model's limit. */
  readonly truncated: boolean;
}

export interface TextTokenizer {
  /** The id with which shorter texts of a batch are filled up. */
  readonly padId: number;
  /** Token ids of each text, special tokens included, cut at the model's limit. Runs outside the event loop. */
  tokenize(texts: readonly string[]): Promise<readonly TokenizedText[]>;
}

/**
 * Loads `tokenizer.json` with the limits of the model, whatever truncation and padding the file itself carries:
 * published files often have 128 of both, and sentence-transformers ignores them too.
 * @throws ModelError when the file is not understood.
 */
export function loadTokenizer(directory: string, config: ModelConfig): TextTokenizer {
  const path = join(directory, 'tokenizer.json');
  const tokenizer = openTokenizer(path);
  tokenizer.disablePadding();
  tokenizer.setTruncation(config.maxTokens);
  const padToken = config.padToken === undefined ? null : tokenizer.tokenToId(config.padToken);
  return {
    padId: padToken ?? config.padId ?? 0,
    tokenize: async (texts) => {
      if (texts.length === 0) return [];
      const inputs = texts.map((text) => (config.lowerCase ? text.toLowerCase() : text));
      const encodings = await tokenizer.encodeBatch(inputs);
      return encodings.map((encoding) => ({
        ids: Int32Array.from(encoding.getIds()),
        truncated: encoding.getOverflowing().length > 0,
      }));
    },
  };
}

/** A short key of token ids: equal exactly when the ids are, save for a collision of 128 bits. */
export function tokenKey(ids: Int32Array): string {
  const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  return createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
}

function openTokenizer(path: string): Tokenizer {
  try {
    return Tokenizer.fromFile(path);
  } catch (cause) {
    throw new ModelError('tokenizer_invalid', `${path} could not be loaded: ${messageOf(cause)}.`, {
      hint: 'Copy the file again from where the model was published.',
      cause,
    });
  }
}
