import { setImmediate } from 'node:timers/promises';
import { ConfigError } from '../errors.ts';
import { isZeroVector, norm } from '../vector/math.ts';
import type { EmbeddingProvider, ModelFingerprint } from './types.ts';

/** Each word touches so many places: two words rarely share all of them. */
const PLACES = 4;
/** Texts between two turns of the event loop. */
const TEXTS_PER_TURN = 256;
const WORD = /[\p{L}\p{N}]+/gu;
const FNV_START = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

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
      let block = new Float32Array();
      for (const text of texts) {
        // One piece of memory for many vectors: each of its own would keep the garbage collector as busy as the hashing.
        const place = vectors.length % TEXTS_PER_TURN;
        if (place === 0) block = new Float32Array(Math.min(TEXTS_PER_TURN, texts.length - vectors.length) * dimensions);
        const hashed = hashText(text, block.subarray(place * dimensions, (place + 1) * dimensions));
        vectors.push(hashed.vector);
        tokenKeys.push(hashed.key);
        tokens += hashed.words;
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

/** The bag of words of one text while it is filled: the vector's places, and sums by which equal bags know each other. */
interface Bag {
  readonly vector: Float32Array;
  words: number;
  sum: number;
  mixedSum: number;
}

interface HashedText {
  readonly vector: Float32Array;
  readonly words: number;
  /** Equal for texts of the same words, in whatever order. */
  readonly key: string;
}

/** @param vector all zeros; filled with the result */
function hashText(text: string, vector: Float32Array): HashedText {
  const bag: Bag = { vector, words: 0, sum: 0, mixedSum: 0 };
  if (isAscii(text)) addAsciiWords(bag, text);
  if (bag.words === 0) for (const word of wordsOf(text)) addWord(bag, fnv1a(word, FNV_START));
  normalize(bag.vector, text);
  return { vector: bag.vector, words: bag.words, key: `${bag.words}.${bag.sum}.${bag.mixedSum}` };
}

/** Lower-cased words; a text without any is its own only word, so that it has a vector too. */
function wordsOf(text: string): readonly string[] {
  return text.normalize('NFKC').toLowerCase().match(WORD) ?? [`\u0000${text}`];
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** What `wordsOf` finds in a text of ASCII, hashed as it is read: no string is made of any word. */
function addAsciiWords(bag: Bag, text: string): void {
  let hash = FNV_START;
  let inWord = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const lower = code >= 0x41 && code <= 0x5a ? code | 0x20 : code;
    if ((lower >= 0x61 && lower <= 0x7a) || (lower >= 0x30 && lower <= 0x39)) {
      hash = Math.imul(hash ^ lower, FNV_PRIME);
      inWord = true;
    } else if (inWord) {
      addWord(bag, hash >>> 0);
      hash = FNV_START;
      inWord = false;
    }
  }
  if (inWord) addWord(bag, hash >>> 0);
}

function addWord(bag: Bag, wordHash: number): void {
  const { vector } = bag;
  let hash = wordHash;
  for (let place = 0; place < PLACES; place++) {
    hash = mix(hash + place);
    const index = (hash >>> 1) % vector.length;
    vector[index] = (vector[index] ?? 0) + (hash & 1 ? 1 : -1);
  }
  bag.words += 1;
  bag.sum = (bag.sum + wordHash) >>> 0;
  bag.mixedSum = (bag.mixedSum + hash) >>> 0;
}

function normalize(vector: Float32Array, text: string): void {
  if (isZeroVector(vector)) {
    // Words that cancel each other out: one place for the text as a whole.
    vector[mix(wordsOf(text).reduce((hash, word) => fnv1a(word, hash), 0)) % vector.length] = 1;
  }
  const length = norm(vector);
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) / length;
}

/** FNV-1a, 32 bits, over UTF-16 units. http://www.isthe.com/chongo/tech/comp/fnv/ */
function fnv1a(text: string, start: number): number {
  let hash = start;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
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
