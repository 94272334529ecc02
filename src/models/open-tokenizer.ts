import { Tokenizer } from 'tokenizers';
import { ModelError, messageOf } from '../errors.ts';
import type { ModelConfig } from './model-config.ts';

// A file of its own, which no public type reaches: the declarations of `tokenizers` do not compile in a strict project.

/** Taking over 64 texts of 109 tokens holds the event loop for 1 ms, 1,024 at once for 30. */
const SLICE_TEXTS = 64;
const SLICE_CHARACTERS = 65_536;

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
