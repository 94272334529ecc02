import { modelFromEnv } from '../config/model-from-env.ts';
import { loadRuntimeSettings } from '../config/runtime.ts';
import type { ModelReference } from '../config/types.ts';
import { createProvider } from './create-provider.ts';
import { type ProviderOptions, providerOptions } from './provider-options.ts';
import type { EmbeddingProvider, ModelFingerprint, ProviderHealth } from './types.ts';

export interface EmbeddingsSettings extends ProviderOptions {
  readonly model: ModelReference & { readonly revision?: string | undefined };
}

export interface EncodeOptions {
  /** Texts an inference batch at most; the model's own choice unless said. */
  readonly batchSize?: number;
  /** `query` for what is searched for: some models put another prefix before it. `document` unless said. */
  readonly kind?: 'document' | 'query';
  readonly signal?: AbortSignal;
}

/** The application's front: texts in, vectors out. Close it when done. */
export class EmbeddingsService {
  readonly model: ModelFingerprint;
  /** Where texts are embedded, e.g. `cpu (2 threads)` or `cuda:0 (2 threads)`; the provider's name where no model runs here. */
  readonly device: string;
  readonly #provider: EmbeddingProvider;

  private constructor(provider: EmbeddingProvider) {
    this.model = provider.model;
    this.device = provider.device ?? provider.model.provider;
    this.#provider = provider;
  }

  /**
   * Opens the model that `settings` name. `onNotice` is told the device that is really used.
   * @throws ModelError, ProviderError or ConfigError when it cannot be used.
   */
  static async init(settings: EmbeddingsSettings): Promise<EmbeddingsService> {
    const { model, ...options } = settings;
    return new EmbeddingsService(await createProvider(model, options));
  }

  /**
   * Opens the model that the environment names: `EMBEDDING_PROVIDER`, `EMBEDDING_MODEL`, `EMBEDDING_DIMENSIONS`,
   * `EMBEDDING_DEVICE`, `EMBEDDING_DEVICE_ID`, `EMBEDDING_GPU_MEMORY`, `EMBEDDING_DTYPE`, `EMBEDDING_THREADS`,
   * `EMBEDDING_BATCH_SIZE`, `REEMBED_MODELS_DIR`, `REEMBED_CACHE_DIR`; for a service also its key, URL and limits (`docs/providers.md`).
   * @throws ConfigError naming each variable that is wrong; else as `init`.
   */
  static async initFromEnv(
    options: Pick<EmbeddingsSettings, 'onNotice'> & {
      readonly env?: Readonly<Record<string, string | undefined>>;
    } = {},
  ): Promise<EmbeddingsService> {
    const { env, onNotice } = options;
    const model = modelFromEnv(env);
    return EmbeddingsService.init({ model, ...providerOptions(loadRuntimeSettings(env)), onNotice });
  }

  /**
   * One vector of `model.dimensions` values a text, in the order of the texts.
   * @throws ModelError or ProviderError; never resolves with fewer vectors than texts.
   */
  async encodeTexts(texts: readonly string[], options: EncodeOptions = {}): Promise<Float32Array[]> {
    const { kind = 'document', batchSize, signal } = options;
    const { vectors } = await this.#provider.embed(texts, { kind, batchSize, signal });
    return vectors;
  }

  /** Embeds one word and says on which device and how long it took. */
  healthCheck(): Promise<ProviderHealth> {
    return this.#provider.probe();
  }

  /** Ends the inference threads. Safe to call twice. */
  close(): Promise<void> {
    return this.#provider.close();
  }
}
