import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Tokenizer, templateProcessing } from 'tokenizers';
import { ModelError, messageOf } from '../errors.ts';
import type { TokenSequence } from './encode-texts.ts';
import type { ModelConfig } from './model-config.ts';

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

/** Taking over 64 texts of 109 tokens holds the event loop for 1 ms, 1,024 at once for 30. */
const SLICE_TEXTS = 64;
const SLICE_CHARACTERS = 65_536;

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

/** The id with which shorter texts of a batch are filled up. */
export function padIdOf(tokenizer: Tokenizer, { padToken, padId }: Pick<ModelConfig, 'padToken' | 'padId'>): number {
  const named = padToken === undefined ? null : tokenizer.tokenToId(padToken);
  return named ?? padId ?? 0;
}

/** Texts in as many as are tokenised before the event loop gets its turn. */
export function* slices(texts: readonly string[]): Generator<readonly string[]> {
  let start = 0;
  while (start < texts.length) {
    let end = start + 1;
    let characters = texts[start]?.length ?? 0;
    while (end < texts.length && end - start < SLICE_TEXTS) {
      characters += texts[end]?.length ?? 0;
      if (characters > SLICE_CHARACTERS) break;
      end++;
    }
    yield texts.slice(start, end);
    start = end;
  }
}

/** A short key of token ids: equal exactly when the ids are, save for a collision of 128 bits. */
function tokenKey(ids: Int32Array): string {
  const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  return createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
}

/** A `tokenizer.json` without the padding that it carries. @throws ModelError `tokenizer_invalid` */
export function openTokenizer(path: string): Tokenizer {
  try {
    const tokenizer = Tokenizer.fromFile(path);
    tokenizer.disablePadding();
    return tokenizer;
  } catch (cause) {
    throw new ModelError('tokenizer_invalid', `${path} could not be loaded: ${messageOf(cause)}.`, {
      hint: 'Copy the file again from where the model was published.',
      cause,
    });
  }
}
