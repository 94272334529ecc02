import { ProviderError } from '../../errors.ts';
import { isZeroVector, norm } from '../../vector/math.ts';
import type { ModelFingerprint } from '../types.ts';
import type { WireVector } from './protocol.ts';

/** How far from 1 a vector's length may be that counts as a unit vector's. */
const UNIT_TOLERANCE = 1e-4;

/**
 * One vector a text, in the texts' order, each of the model's dimensions and finite. A vector of zeros passes: the backfill's own check
 * tells which row it belongs to.
 *
 * @throws ProviderError that names what is wrong. Only a single text's NaN is that text's fault: an answer that miscounts is not trusted at all
 */
export function readVectors(
  wire: readonly WireVector[] | undefined,
  count: number,
  model: ModelFingerprint,
  url: string,
): Float32Array[] {
  if (wire === undefined) throw notUnderstood(url);
  const ordered = inOrder(wire, count, url);
  return ordered.map((values, at) => {
    const vector = decode(values, `${at + 1} of ${count}`, url);
    if (vector.length !== model.dimensions) throw otherDimensions(vector.length, model, url);
    if (model.normalize) scaleToUnit(vector);
    return vector;
  });
}

function inOrder(wire: readonly WireVector[], count: number, url: string): readonly unknown[] {
  if (wire.length !== count) throw miscounted(`${wire.length} vectors for ${count} texts`, url);
  const ordered: unknown[] = new Array(count);
  for (const [place, { index = place, values }] of wire.entries()) {
    if (!Number.isInteger(index) || index < 0 || index >= count) {
      const which = Number.isNaN(index) ? 'without an index' : `with index ${index}`;
      throw miscounted(`a vector ${which} for ${count} texts`, url);
    }
    if (index in ordered) throw miscounted(`two vectors with index ${index} for ${count} texts`, url);
    ordered[index] = values;
  }
  return ordered;
}

function decode(values: unknown, which: string, url: string): Float32Array {
  if (typeof values === 'string') return decodeBase64(values, which, url);
  if (!Array.isArray(values)) throw notUnderstood(url);
  const vector = new Float32Array(values.length);
  for (const [i, value] of values.entries()) {
    if (Array.isArray(value)) throw perToken(url);
    // null must not become 0: it is how JSON writes NaN.
    if (typeof value !== 'number' || !Number.isFinite(Math.fround(value))) throw notFinite(value, i, which, url);
    vector[i] = value;
  }
  return vector;
}

function decodeBase64(text: string, which: string, url: string): Float32Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length % 4 !== 0) throw notUnderstood(url);
  const vector = new Float32Array(bytes.length / 4);
  for (let i = 0; i < vector.length; i++) {
    const value = bytes.readFloatLE(i * 4);
    if (!Number.isFinite(value)) throw notFinite(value, i, which, url);
    vector[i] = value;
  }
  return vector;
}

/** In place. Services cut Matryoshka vectors without scaling them again. */
function scaleToUnit(vector: Float32Array): void {
  const length = norm(vector);
  if (Math.abs(length - 1) <= UNIT_TOLERANCE || isZeroVector(vector)) return;
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) / length;
}

function otherDimensions(observed: number, { name, dimensions }: ModelFingerprint, url: string): ProviderError {
  return new ProviderError(
    'dimensions_differ',
    `${name} at ${url} makes ${observed} dimensions, the configuration asks for ${dimensions}.`,
    {
      retryable: false,
      scope: 'service',
      hint: `Set the dimensions (EMBEDDING_DIMENSIONS) to ${observed}, choose another model, or set EMBEDDING_SEND_DIMENSIONS=1 for a model that can make ${dimensions}.`,
      context: { observed, expected: dimensions },
    },
  );
}

function miscounted(observed: string, url: string): ProviderError {
  return new ProviderError('wrong_cardinality', `${url} answered ${observed}, expected one vector for each.`, {
    retryable: false,
    scope: 'service',
    hint: 'Nothing of the answer was kept. Look at the server; a proxy before it may merge or cut answers.',
  });
}

function notUnderstood(url: string): ProviderError {
  return answerError(`${url} answered 200 without vectors in the form of its protocol.`);
}

function perToken(url: string): ProviderError {
  return answerError(`${url} answered one vector for each token, expected one for each text.`);
}

function answerError(message: string): ProviderError {
  return new ProviderError('answer_not_understood', message, {
    retryable: false,
    scope: 'service',
    hint: 'Check EMBEDDING_PROVIDER and EMBEDDING_BASE_URL: the server must be of that kind and serve an embedding model that pools.',
  });
}

function notFinite(value: unknown, place: number, which: string, url: string): ProviderError {
  const observed = value === null ? 'null (NaN in JSON)' : String(value);
  return new ProviderError(
    'vector_not_finite',
    `${url} answered a vector with ${observed} at place ${place} for text ${which}, expected finite numbers.`,
    {
      retryable: false,
      scope: 'text',
      hint: 'fp16 overflows in some models: serve it as fp32 or bf16, or look at the text.',
    },
  );
}
