/** Everything that makes two vectors comparable. Two models share a space only when all of it is equal. */
export interface ModelFingerprint {
  /** As the configuration names it: `local`, `hash`, `file`, `openai`, `huggingface`, `tei`, `gemini`. */
  readonly provider: string;
  /** As the user names it, e.g. `BAAI/bge-small-en-v1.5`. */
  readonly name: string;
  readonly revision: string | null;
  readonly dimensions: number;
  /** `fp32`, `fp16`, `int8`; null where the provider does not say. */
  readonly dtype: string | null;
  /** `mean`, `cls`, `last-token`, or `graph` when the model's own graph pools. */
  readonly pooling: string | null;
  readonly normalize: boolean;
  /** What is put before each text, by kind. */
  readonly prefixes: { readonly document: string; readonly query: string };
  /** sha256 of each file that takes part in inference, by its name relative to the model's directory. */
  readonly files: Readonly<Record<string, string>>;
}

export interface EmbedResult {
  /** One vector a text, in order, each of `model.dimensions` values. */
  readonly vectors: Float32Array[];
  /** Tokens of all texts, special tokens and truncation counted in. */
  readonly tokens: number;
  /** Texts that were longer than the model's limit and were cut. */
  readonly truncated: number;
  /** A key per text, equal for texts that are the same to the model (same token ids); undefined where it is unknown. */
  readonly tokenKeys?: readonly string[];
}

export interface ProviderHealth {
  readonly ok: boolean;
  /** E.g. `cpu (2 threads)`. */
  readonly device: string;
  readonly dimensions: number;
  readonly milliseconds: number;
  readonly message: string;
}

export interface EmbedOptions {
  readonly kind: 'document' | 'query';
  readonly signal?: AbortSignal | undefined;
  /** Texts an inference batch at most, where the provider batches; its own choice unless said. */
  readonly batchSize?: number | undefined;
  /**
   * Called, and waited for, with each part of the result as soon as it is there and checked: it was paid for, and what is kept of it survives
   * the failure of the rest. Providers that answer all at once need not.
   */
  readonly onAnswer?: ((answer: Answer) => Promise<void>) | undefined;
}

/** A part of a result: what one request brought. */
export interface Answer {
  /** Positions in the texts that were given. */
  readonly positions: readonly number[];
  /** One a position. */
  readonly vectors: readonly Float32Array[];
  readonly truncated: number;
}

/** What one request to a service took. */
export interface Usage {
  readonly requests: number;
  /** As the service counted them, else an estimate. */
  readonly tokens: number;
}

/** The limits of a service that costs money, and of what may be spent on it. Whoever keeps it decides whether it outlives the process. */
export interface UsageLedger {
  /**
   * Resolves when a request of about so many tokens may be sent: at once, or when the minute's limits allow it.
   * @throws InterruptedError `budget_reached` when it would cost more than is left; what was written stays
   */
  admit(tokens: number, signal: AbortSignal | undefined): Promise<void>;
  /** What an admitted request of about `admitted` tokens really took; nothing when it failed. */
  settle(admitted: number, usage: Usage): Promise<void>;
}

/** Fixed texts with the vectors that a model made of them: another model makes others. */
export interface Canary {
  readonly texts: readonly string[];
  readonly vectors: readonly Float32Array[];
}

/** What is kept on this machine of a provider's vectors. */
export interface KeptVectors {
  /** The provider without what is kept: for whoever wants to know what it makes of a text now. */
  readonly service: EmbeddingProvider;
  /** Gives up what another model made under the same name: `canary` is what the service makes now. */
  agree(canary: Canary): Promise<void>;
  /** Gives up everything. */
  forget(): Promise<void>;
}

/** Text to vectors. Implementations never block the event loop for long and never return a vector that they did not compute. */
export interface EmbeddingProvider {
  readonly model: ModelFingerprint;
  /** Where the model runs, e.g. `cuda:0 (2 threads)`; undefined where none runs on this machine. */
  readonly device?: string | undefined;
  /** Tokens of a text at most, where it is known; longer texts are cut there. */
  readonly maxTokens?: number | undefined;
  /** Undefined where every text is computed anew. */
  readonly kept?: KeptVectors | undefined;
  /** @throws ProviderError or ModelError; never resolves with fewer vectors than texts. */
  embed(texts: readonly string[], options: EmbedOptions): Promise<EmbedResult>;
  probe(): Promise<ProviderHealth>;
  close(): Promise<void>;
}
