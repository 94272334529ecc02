import { modelFromEnv } from '../config/model-from-env.ts';
import { loadRuntimeSettings } from '../config/runtime.ts';
import type { ModelReference } from '../config/types.ts';
import { ConfigError, messageOf } from '../errors.ts';
import { createProvider } from '../providers/create-provider.ts';
import { openReranker } from '../providers/open-reranker.ts';
import { type ProviderOptions, providerOptions } from '../providers/provider-options.ts';
import { type RankedText, rankScores } from '../providers/rank-scores.ts';
import type { Reranker } from '../providers/reranker.ts';
import { type RerankerSettings, rerankerSettings } from '../providers/reranker-settings.ts';
import type { EmbeddingProvider, ModelFingerprint, ProviderHealth } from '../providers/types.ts';
import { type DetectOptions, type DetectResult, detect } from './detect.ts';

export interface EmbeddingsSettings extends ProviderOptions {
  readonly model: ModelReference & { readonly revision?: string | undefined };
  /** The reranker behind `rerank`, opened when it is first used; it runs where and with as many threads as the model unless said. */
  readonly reranker?: RerankerSettings | undefined;
}

export interface RerankTextsOptions {
  /** How many are returned; all unless said. */
  readonly topK?: number;
  /** Pairs an inference batch at most; what the settings say unless said. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

export interface EncodeOptions {
  /** Texts an inference batch at most; the model's own choice unless said. */
  readonly batchSize?: number;
  /** `query` for what is searched for: some models put another prefix before it. `document` unless said. */
  readonly kind?: 'document' | 'query';
  readonly signal?: AbortSignal;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The application's front: texts in, vectors out. Close it when done. */
export class EmbeddingsService {
  readonly model: ModelFingerprint;
  /** Where texts are embedded, e.g. `cpu (2 threads)` or `cuda:0 (2 threads)`; the provider's name where no model runs here. */
  readonly device: string;
  readonly #provider: EmbeddingProvider;
  readonly #rerankerSettings: RerankerSettings | undefined;
  readonly #env: Environment | undefined;
  #reranker: Promise<Reranker> | undefined;
  #closed = false;

  private constructor(
    provider: EmbeddingProvider,
    reranker: RerankerSettings | undefined,
    env: Environment | undefined,
  ) {
    this.model = provider.model;
    this.device = provider.device ?? provider.model.provider;
    this.#provider = provider;
    this.#rerankerSettings = reranker;
    this.#env = env;
  }

  /**
   * Opens the model that `settings` name. `onNotice` is told the device that is really used.
   * @throws ModelError, ProviderError or ConfigError when it cannot be used.
   */
  static async init(settings: EmbeddingsSettings): Promise<EmbeddingsService> {
    return EmbeddingsService.#open(settings, undefined);
  }

  static async #open(settings: EmbeddingsSettings, env: Environment | undefined): Promise<EmbeddingsService> {
    const { model, reranker, ...options } = settings;
    // The precision and the batches are those of the model that embeds.
    const shared = { ...options, dtype: undefined, batchSize: undefined };
    return new EmbeddingsService(await createProvider(model, options), reranker && { ...shared, ...reranker }, env);
  }

  /**
   * Opens the model that the environment names: `EMBEDDING_PROVIDER`, `EMBEDDING_MODEL`, `EMBEDDING_DIMENSIONS`,
   * `EMBEDDING_DEVICE`, `EMBEDDING_DEVICE_ID`, `EMBEDDING_GPU_MEMORY`, `EMBEDDING_DTYPE`, `EMBEDDING_THREADS`,
   * `EMBEDDING_BATCH_SIZE`, `REEMBED_MODELS_DIR`, `REEMBED_CACHE_DIR`; for a service also its key, URL and limits (`docs/providers.md`); and with
   * `ENABLE_RERANKER` the reranker: `RERANK_PROVIDER`, `RERANK_MODEL`, `RERANK_BASE_URL`, `RERANK_BATCH_SIZE` (`docs/reranking.md`).
   * @throws ConfigError naming each variable that is wrong; else as `init`.
   */
  static async initFromEnv(
    options: Pick<EmbeddingsSettings, 'onNotice'> & {
      readonly env?: Environment;
    } = {},
  ): Promise<EmbeddingsService> {
    const { env, onNotice } = options;
    const model = modelFromEnv(env);
    const runtime = loadRuntimeSettings(env);
    const reranker = runtime.reranking.enabled ? rerankerSettings(runtime) : undefined;
    return EmbeddingsService.#open({ model, ...providerOptions(runtime), onNotice, reranker }, env);
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

  /**
   * The places of the texts in `texts`, the one that answers `query` best first. The reranker is opened by the first call; an empty list is an
   * empty answer.
   * @throws ConfigError `reranker_disabled` where none is configured; ModelError or ProviderError when it cannot be used.
   */
  async rerank(query: string, texts: readonly string[], options: RerankTextsOptions = {}): Promise<number[]> {
    return (await this.rerankWithScores(query, texts, options)).map(({ index }) => index);
  }

  /** As `rerank`, each place with its score. Scores are logits: they order the texts of one query, and are no probabilities. */
  async rerankWithScores(
    query: string,
    texts: readonly string[],
    { topK, batchSize, signal }: RerankTextsOptions = {},
  ): Promise<readonly RankedText[]> {
    const reranker = await this.#openReranker();
    return rankScores(await reranker.score(query, texts, { batchSize, signal })).slice(0, topK);
  }

  /** Once, whoever asks first; a failure is not kept, so that a server that was down may be asked again. */
  #openReranker(): Promise<Reranker> {
    if (this.#rerankerSettings === undefined) throw rerankerDisabled();
    if (this.#closed) throw new ConfigError('service_closed', 'The service was closed.', { hint: 'Open it again.' });
    const opening = this.#reranker ?? openReranker(this.#rerankerSettings);
    this.#reranker = opening;
    opening.catch(() => {
      if (this.#reranker === opening) this.#reranker = undefined;
    });
    return opening;
  }

  /**
   * At startup: whether the column that the migration names holds vectors of this model, and where it does not, the projection that would move them,
   * with its quality and the command. Changes nothing, unless REEMBED_AUTO_ADAPT=1 asks for it to be applied: then after a backup, and taken back by
   * itself where verification fails.
   *
   * @throws PreflightError where the table is not there; AdapterError `adapter_undone` when what was applied was taken back, `registry_invalid`;
   *   ConfigError without a configuration or a database
   */
  async detect(options: DetectOptions = {}): Promise<DetectResult> {
    return detect(this.#provider, this.#env, options);
  }

  /** Embeds one word and says on which device and how long it took. Never rejects: whatever failed is in `message`, with `ok` false. */
  async healthCheck(): Promise<ProviderHealth> {
    const start = performance.now();
    try {
      return await this.#provider.probe();
    } catch (error) {
      const { dimensions } = this.model;
      const milliseconds = performance.now() - start;
      return { ok: false, device: this.device, dimensions, milliseconds, message: messageOf(error) };
    }
  }

  /** Ends the inference threads. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true;
    const reranker = await this.#reranker?.catch(() => undefined);
    await Promise.all([this.#provider.close(), reranker?.close()]);
  }
}

function rerankerDisabled(): ConfigError {
  return new ConfigError('reranker_disabled', 'No reranker is configured, and texts were to be reranked.', {
    step: 'configuration',
    hint: 'Set ENABLE_RERANKER=1 and RERANK_MODEL, or give EmbeddingsService.init a "reranker"; see docs/reranking.md.',
  });
}
