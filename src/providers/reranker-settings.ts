import type { RerankSettings, RuntimeSettings } from '../config/types.ts';
import { type ProviderOptions, providerOptions } from './provider-options.ts';

/** Which reranker, and how it runs. */
export interface RerankerSettings extends Omit<ProviderOptions, 'batchSize' | 'ledger' | 'waitsForService'> {
  /** `local` unless said. */
  readonly provider?: RerankSettings['provider'] | undefined;
  /** A hub name that was pulled, or a directory; `BAAI/bge-reranker-base` unless said. Of `tei` the server decides. */
  readonly model?: string | undefined;
  /** Of `tei`: where it listens. */
  readonly baseUrl?: string | undefined;
  /** Pairs an inference batch, or a request, at most (64). */
  readonly batchSize?: number | undefined;
}

/**
 * What the environment says about the reranker and how it runs. `EMBEDDING_DTYPE` is the embedding model's alone: a reranker runs in the
 * precision that was pulled.
 */
export function rerankerSettings(runtime: RuntimeSettings): RerankerSettings {
  const { provider, model, baseUrl, batchSize } = runtime.reranking;
  return { ...providerOptions(runtime), dtype: undefined, provider, model, baseUrl, batchSize };
}
