import { IntegrityError, ModelError } from '../../errors.ts';
import type { StoredFingerprint } from '../../state/models.ts';
import { isZeroVector } from '../../vector/math.ts';
import type { EncodeTexts, NamedEncoder } from '../active-model.ts';
import { assertSameModel } from '../same-model.ts';
import { vectorLiteral } from '../vector-literal.ts';
import type { Encoder, Side } from './types.ts';

/** The column that a query is compared with. */
export interface EncodedFor {
  readonly side: Side;
  readonly name: string;
  readonly dimensions: number;
  /** The model of its vectors, where it is known. */
  readonly model: StoredFingerprint | undefined;
}

interface Encoded {
  /** pgvector's text form. */
  readonly literal: string;
  readonly dimensions: number;
}

/** One model's vectors of queries, the last ones kept. A text that is being encoded is not encoded a second time. */
export class QueryEncoder {
  readonly #source: Encoder;
  readonly #size: number;
  /** In the order of their last use. */
  readonly #kept = new Map<string, Promise<Encoded>>();
  #opened: Promise<NamedEncoder> | undefined;
  /** The stored model that the encoder was last compared with: a Map lookup a request would be all it costs, this is none. */
  #agreed: StoredFingerprint | undefined;

  constructor(source: Encoder, size: number) {
    if (!Number.isInteger(size) || size < 0)
      throw new RangeError(`cachedQueries is a whole number from 0, got ${size}`);
    this.#source = source;
    this.#size = size;
  }

  /**
   * @throws ModelError `model_differs` when the encoder is another model than the vectors, `dimensions_differ`; IntegrityError
   *   `zero_query`; what the encoder throws
   */
  async encode(text: string, target: EncodedFor, signal: AbortSignal | undefined): Promise<string> {
    const encode = await this.#agreedEncoder(target);
    const { literal, dimensions } = await untilAborted(this.#remembered(text, encode), signal);
    if (target.dimensions > 0 && dimensions !== target.dimensions) throw wrongSize(target, dimensions);
    return literal;
  }

  /** The model's name, where the encoder says it. */
  async modelName(): Promise<string | undefined> {
    if (typeof this.#source === 'function') return undefined;
    return (await this.#named(this.#source)).model.name;
  }

  async #agreedEncoder({ name, model }: EncodedFor): Promise<EncodeTexts> {
    if (typeof this.#source === 'function') return this.#source;
    const named = await this.#named(this.#source);
    if (model !== this.#agreed) {
      assertSameModel(name, model, named.model);
      this.#agreed = model;
    }
    return (texts, options) => named.encodeTexts(texts, options);
  }

  async #named(source: NamedEncoder | { open(): Promise<NamedEncoder> }): Promise<NamedEncoder> {
    if (!('open' in source)) return source;
    this.#opened ??= source.open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  #remembered(text: string, encode: EncodeTexts): Promise<Encoded> {
    const kept = this.#kept.get(text);
    const encoded = kept ?? encodeQuery(text, encode);
    this.#kept.delete(text);
    this.#kept.set(text, encoded);
    if (kept === undefined) {
      encoded.catch(() => {
        if (this.#kept.get(text) === encoded) this.#kept.delete(text);
      });
    }
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#size) break;
      this.#kept.delete(oldest);
    }
    return encoded;
  }
}

async function encodeQuery(text: string, encode: EncodeTexts): Promise<Encoded> {
  const [vector] = await encode([text], { kind: 'query' });
  if (vector === undefined) throw new RangeError('the encoder returned no vector');
  if (isZeroVector(Float32Array.from(vector))) {
    throw new IntegrityError('zero_query', 'The query has no direction: its vector is all zeros.', {
      step: 'inspect',
      hint: 'Search for a text with words in it.',
    });
  }
  return { literal: vectorLiteral(vector), dimensions: vector.length };
}

/** Somebody else may wait for the same vector: the encoding goes on, only the waiting ends. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function wrongSize({ side, name, dimensions }: EncodedFor, got: number): ModelError {
  return new ModelError(
    'dimensions_differ',
    `The ${side} encoder made ${got} dimensions of a query, ${name} holds vectors of ${dimensions}.`,
    {
      step: 'inspect',
      hint: `Give createSearch the model that made the vectors as encoders.${side}.`,
      context: { observed: got, expected: dimensions },
    },
  );
}
