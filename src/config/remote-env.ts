import {
  type Environment,
  envDuration,
  envFlag,
  envKeyFile,
  envNumber,
  envOneOf,
  envText,
  envUrl,
  envWhole,
} from './env-values.ts';
import { Secret } from './secret.ts';
import type { RemoteSettings } from './types.ts';

/** A key by the names that people have for it; the first one that is set is taken, itself before its file. */
const KEYS = {
  any: ['EMBEDDING_API_KEY'],
  openai: ['OPENAI_API_KEY'],
  huggingface: ['HUGGINGFACE_TOKEN', 'HF_TOKEN'],
  gemini: ['GEMINI_API_KEY'],
} as const;

/** Variables about models that are asked over the network; `docs/configuration.md` lists them. */
export const remoteShape = {
  EMBEDDING_BASE_URL: envUrl(),
  EMBEDDING_ALLOW_HTTP: envFlag(),
  EMBEDDING_API_KEY: envText(),
  EMBEDDING_API_KEY_FILE: envKeyFile(),
  OPENAI_API_KEY: envText(),
  OPENAI_API_KEY_FILE: envKeyFile(),
  HUGGINGFACE_TOKEN: envText(),
  HUGGINGFACE_TOKEN_FILE: envKeyFile(),
  HF_TOKEN: envText(),
  HF_TOKEN_FILE: envKeyFile(),
  GEMINI_API_KEY: envText(),
  GEMINI_API_KEY_FILE: envKeyFile(),
  HF_ENDPOINT: envUrl(),
  EMBEDDING_SEND_DIMENSIONS: envFlag(),
  EMBEDDING_REQUEST_TIMEOUT: envDuration(),
  EMBEDDING_DEADLINE: envDuration(),
  EMBEDDING_MAX_REQUESTS: envWhole(1, 256),
  EMBEDDING_PRICE: envNumber(0, 1_000_000),
  REEMBED_REQUESTS_PER_MINUTE: envWhole(1, 10_000_000),
  REEMBED_TOKENS_PER_MINUTE: envWhole(1, 10_000_000_000),
  REEMBED_BUDGET_USD: envNumber(0, 1_000_000_000),
  REEMBED_VECTOR_CACHE: envOneOf('auto', 'on', 'off'),
  REEMBED_CANARY_BATCHES: envWhole(0, 1_000_000),
};

type Values = {
  readonly [K in keyof typeof remoteShape]?: ReturnType<(typeof remoteShape)[K]['parse']>;
};

export function remoteSettings(values: Values): RemoteSettings {
  const texts = values as Environment;
  const key = (names: readonly string[]): Secret | undefined => findKey(texts, names);
  return {
    baseUrl: values.EMBEDDING_BASE_URL,
    allowHttp: values.EMBEDDING_ALLOW_HTTP ?? false,
    keys: {
      any: key(KEYS.any),
      openai: key(KEYS.openai),
      huggingface: key(KEYS.huggingface),
      gemini: key(KEYS.gemini),
    },
    hubUrl: values.HF_ENDPOINT ?? 'https://huggingface.co',
    sendDimensions: values.EMBEDDING_SEND_DIMENSIONS ?? false,
    requestTimeoutMs: values.EMBEDDING_REQUEST_TIMEOUT ?? 60_000,
    deadlineMs: values.EMBEDDING_DEADLINE ?? 600_000,
    maxRequests: values.EMBEDDING_MAX_REQUESTS ?? 8,
    usdPerMillionTokens: values.EMBEDDING_PRICE,
    requestsPerMinute: values.REEMBED_REQUESTS_PER_MINUTE,
    tokensPerMinute: values.REEMBED_TOKENS_PER_MINUTE,
    budgetUsd: values.REEMBED_BUDGET_USD,
    vectorCache: values.REEMBED_VECTOR_CACHE ?? 'auto',
    canaryBatches: values.REEMBED_CANARY_BATCHES ?? 50,
  };
}

function findKey(values: Environment, names: readonly string[]): Secret | undefined {
  const sources = names.flatMap((name) => [name, `${name}_FILE`]);
  const source = sources.find((name) => values[name] !== undefined);
  return source === undefined ? undefined : new Secret(values[source] ?? '', source);
}
