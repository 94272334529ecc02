import type { Device } from '../config/types.ts';
import type { NativeSection } from './native-section.ts';
import type { Pooling } from './pooling.ts';
import type { SessionOptions } from './session.ts';

/** What an inference thread is started with. */
export interface WorkerSetup {
  readonly session: SessionOptions;
  /** Undefined: only a graph that pools by itself can be used. */
  readonly pooling: Pooling | undefined;
  readonly normalize: boolean;
  readonly padId: number;
  /** Token ids of some text: one run of them tells the dimensions. */
  readonly sample: Int32Array;
}

/** The setup of one thread. */
export interface ThreadSetup extends WorkerSetup {
  readonly section: NativeSection;
}

/** Token ids of a batch, one text after the other, without padding. */
export interface TokenBatch {
  readonly ids: Int32Array;
  readonly lengths: Int32Array;
  /** Of pairs: which of the two texts each token belongs to, beside `ids`; undefined where every token is of the first. */
  readonly types?: Int32Array | undefined;
}

export interface EncodedBatch {
  /** `[batch, dimensions]`, row-major. */
  readonly vectors: Float32Array;
  /** How often the batch had to be halved because memory ran out. */
  readonly halvings: number;
}

/** What a thread sends back for a batch. */
export interface TimedBatch extends EncodedBatch {
  /** For how long the batch kept its thread busy; of batches that overlap in one thread no time counts twice. */
  readonly milliseconds: number;
}

export type WorkerRequest =
  | { readonly kind: 'encode'; readonly id: number; readonly batch: TokenBatch }
  | { readonly kind: 'close' };

/** What is known once a session is open. */
export interface SessionFacts {
  readonly device: Exclude<Device, 'auto'>;
  readonly note: string | undefined;
  readonly dimensions: number;
  /** True when the graph itself pools the tokens. */
  readonly graphPools: boolean;
  /** The runtime's version. */
  readonly runtime: string;
}

export interface WorkerFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
}

export type WorkerReply =
  | { readonly kind: 'ready'; readonly facts: SessionFacts }
  | { readonly kind: 'failed'; readonly failure: WorkerFailure }
  | { readonly kind: 'encoded'; readonly id: number; readonly encoded: TimedBatch }
  | { readonly kind: 'rejected'; readonly id: number; readonly failure: WorkerFailure };
