import { envBytes, envFlag, envNumber, envOneOf, envText, envUrl, envWhole } from './env-values.ts';
import type { EvaluationSettings, IndexBuildSettings, RerankSettings } from './types.ts';

/** Variables about the quality of a search; `docs/configuration.md` lists them. */
export const qualityShape = {
  REEMBED_GATE: envOneOf('warn', 'required', 'off'),
  REEMBED_QUERIES: envText('a file'),
  REEMBED_KNOWN_ITEM: envText('a column'),
  REEMBED_TOLERANCE: envNumber(0, 1),
  REEMBED_MIN_GAIN: envNumber(0, 1),
  REEMBED_VERDICT_MAX_CHANGE: envNumber(0, 1),
  ENABLE_RERANKER: envFlag(),
  RERANK_PROVIDER: envOneOf('local', 'tei'),
  RERANK_MODEL: envText(),
  RERANK_BASE_URL: envUrl(),
  RERANK_TOP_K: envWhole(1, 10_000),
  RETURN_TOP_K: envWhole(1, 10_000),
  RERANK_BATCH_SIZE: envWhole(1, 4096),
  REEMBED_BUILD_MEMORY: envBytes(2 ** 20, 2 ** 41),
  REEMBED_BUILD_WORKERS: envWhole(0, 1024),
};

type Values = {
  readonly [K in keyof typeof qualityShape]?: ReturnType<(typeof qualityShape)[K]['parse']>;
};

export function evaluationSettings(values: Values): EvaluationSettings {
  return {
    queries: values.REEMBED_QUERIES,
    knownItem: values.REEMBED_KNOWN_ITEM,
    tolerance: values.REEMBED_TOLERANCE ?? 0.02,
    minGain: values.REEMBED_MIN_GAIN,
    maxChange: values.REEMBED_VERDICT_MAX_CHANGE ?? 0.1,
  };
}

export function rerankSettings(values: Values): RerankSettings {
  return {
    enabled: values.ENABLE_RERANKER ?? false,
    provider: values.RERANK_PROVIDER ?? 'local',
    model: values.RERANK_MODEL ?? 'BAAI/bge-reranker-base',
    baseUrl: values.RERANK_BASE_URL,
    topK: values.RERANK_TOP_K ?? 200,
    returnTopK: values.RETURN_TOP_K ?? 20,
    batchSize: values.RERANK_BATCH_SIZE ?? 64,
  };
}

export function buildSettings(values: Values): IndexBuildSettings {
  return { memoryBytes: values.REEMBED_BUILD_MEMORY, workers: values.REEMBED_BUILD_WORKERS };
}
