import type { EmbedOptions, ModelFingerprint } from '../types.ts';
import type { JsonAnswer } from './connection.ts';
import type { RequestLimits } from './pack-requests.ts';
import type { RequestFailure } from './request-failure.ts';

/** A vector as it stands in an answer: numbers, or base64 of little-endian float32. `index` is its text's place, where the protocol says it. */
export interface WireVector {
  readonly index: number | undefined;
  readonly values: unknown;
}

/** How one service is asked for vectors. */
export interface Protocol {
  readonly model: ModelFingerprint;
  readonly url: URL;
  readonly limits: RequestLimits;
  /** Tokens of a text at most, where it is known. */
  readonly maxTokens: number | undefined;
  /** The JSON of a request for `texts`, prefixes put before them. */
  body(texts: readonly string[], kind: EmbedOptions['kind']): unknown;
  /** The vectors in an answer; undefined when it has another form than it should. */
  vectors(answer: JsonAnswer): readonly WireVector[] | undefined;
  /** Tokens that the service counted for the whole request. */
  tokens(answer: JsonAnswer): number | undefined;
  /** True when `failure`, the answer to `body`, is about the form of the request alone and another form is sent from now on. */
  adapt?(failure: RequestFailure, body: unknown): boolean;
}
