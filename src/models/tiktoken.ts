import { setImmediate } from 'node:timers/promises';

/** Counts the tokens of each text. */
export type CountTokens = (texts: readonly string[]) => Promise<readonly number[]>;

/** It works in JavaScript: after so many characters the event loop has a turn. */
const CHARACTERS_PER_TURN = 65_536;

/**
 * OpenAI's encoding cl100k_base, by which its embedding models count; undefined where the optional package js-tiktoken is not installed.
 * Its table is some megabytes of JavaScript: loaded when it is needed.
 */
export async function loadCl100k(): Promise<CountTokens | undefined> {
  const loaded = await importTiktoken();
  if (loaded === undefined) return undefined;
  const encoding = new loaded.Tiktoken(loaded.ranks);
  return async (texts) => {
    const counts: number[] = [];
    let characters = 0;
    for (const text of texts) {
      // What looks like a special token in a text is text.
      counts.push(encoding.encode(text, [], []).length);
      characters += text.length;
      if (characters > CHARACTERS_PER_TURN) {
        characters = 0;
        await setImmediate();
      }
    }
    return counts;
  };
}

async function importTiktoken() {
  try {
    const [{ Tiktoken }, { default: ranks }] = await Promise.all([
      import('js-tiktoken/lite'),
      import('js-tiktoken/ranks/cl100k_base'),
    ]);
    return { Tiktoken, ranks };
  } catch (error) {
    if (error instanceof Error && 'code' in error && /MODULE_NOT_FOUND$/.test(String(error.code))) return undefined;
    throw error;
  }
}
