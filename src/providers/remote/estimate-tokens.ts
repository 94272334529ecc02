/** In English and code a token is about four letters. */
const LETTERS_PER_TOKEN = 4;

/**
 * About how many tokens a model's tokenizer makes of `text`, without the tokenizer: four ASCII characters make one, and every other UTF-16
 * unit is one, which is right for Chinese and Japanese and too much for Cyrillic and Greek. Rather too many: requests are packed by it.
 */
export function estimateTokens(text: string): number {
  let ascii = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x80) ascii += 1;
  return Math.ceil(ascii / LETTERS_PER_TOKEN) + (text.length - ascii) + 1;
}
