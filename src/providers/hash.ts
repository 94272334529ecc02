import { setImmediate } from 'node:timers/promises';
import { ConfigError } from '../errors.ts';
import { isZeroVector, norm } from '../vector/math.ts';
import type { EmbeddingProvider, ModelFingerprint } from './types.ts';

/** Each word touches so many places: two words rarely share all of them. */
const PLACES = 4;
/** Texts between two turns of the event loop. */
const TEXTS_PER_TURN = 256;
const WORD = /[\p{L}\p{N}]+/gu;

/**
 * The provider `hash`: a hashed bag of words. A test model: deterministic, offline and fast, close only where texts
 * share words.
 * @param name `hash/<dimensions>`.
 * @throws ConfigError when the name is another one.
 */
export function hashProvider(name: string): EmbeddingProvider {
  const dimensions = hashDimensions(name);
  return {
    model: fingerprint(name, dimensions),
    embed: async (texts, { signal }) => {
      const vectors: Float32Array[] = [];
      const tokenKeys: string[] = [];
      let tokens = 0;
      for (const text of texts) {
        const words = wordsOf(text);
        vectors.push(hashWords(words, dimensions));
        tokenKeys.push(words.sort().join(' '));
        tokens += words.length;
        if (vectors.length % TEXTS_PER_TURN === 0) await setImmediate();
        signal?.throwIfAborted();
      }
      return { vectors, tokens, truncated: 0, tokenKeys };
    },
    probe: async () => ({ ok: true, device: 'cpu', dimensions, milliseconds: 0, message: 'hash test model' }),
    close: async () => {},
  };
}

function hashDimensions(name: string): number {
  const dimensions = Number(/^hash\/(\d{1,5})$/.exec(name)?.[1]);
  if (dimensions >= 1 && dimensions <= 16_000) return dimensions;
  throw new ConfigError('hash_model_invalid', `The hash model ${name} is not hash/<dimensions> with 1 to 16000.`, {
    hint: 'Set EMBEDDING_MODEL=hash/384, or EMBEDDING_PROVIDER=local for a real model.',
  });
}

/** Lower-cased words; a text without any is its own only word, so that it has a vector too. */
function wordsOf(text: string): string[] {
  const words = text.normalize('NFKC').toLowerCase().match(WORD);
  return words ?? [`\u0000${text}`];
}

function hashWords(words: readonly string[], dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  for (const word of words) addWord(vector, word);
  if (isZeroVector(vector)) {
    // Words that cancel each other out: one place for the text as a whole.
    vector[mix(words.reduce((hash, word) => fnv1a(word, hash), 0)) % dimensions] = 1;
  }
  const length = norm(vector);
  return vector.map((value) => value / length);
}

function addWord(vector: Float32Array, word: string): void {
  let hash = fnv1a(word, 0x811c9dc5);
  for (let place = 0; place < PLACES; place++) {
    hash = mix(hash + place);
    const index = (hash >>> 1) % vector.length;
    vector[index] = (vector[index] ?? 0) + (hash & 1 ? 1 : -1);
  }
}

/** FNV-1a, 32 bits, over UTF-16 units. http://www.isthe.com/chongo/tech/comp/fnv/ */
function fnv1a(text: string, start: number): number {
  let hash = start;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The finaliser of MurmurHash3: every bit of the input moves every bit of the output. */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function fingerprint(name: string, dimensions: number): ModelFingerprint {
  return {
    provider: 'hash',
    name,
    revision: '1',
    dimensions,
    dtype: 'fp32',
    pooling: null,
    normalize: true,
    prefixes: { document: '', query: '' },
    files: {},
  };
}
