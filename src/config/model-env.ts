import { type Environment, envOneOf, envText, envWhole } from './env-values.ts';
import { knownDimensions } from './known-dimensions.ts';
import type { ConfigProblem } from './problems.ts';
import { isRemote, PROVIDERS } from './provider-names.ts';
import type { ProviderName } from './types.ts';

/** The variables that name a model, the names that people have in their `.env` already among them. */
export const modelShape = {
  EMBEDDING_PROVIDER: envOneOf(...PROVIDERS),
  EMBEDDING_MODEL: envText(),
  EMBEDDING_DIMENSIONS: envWhole(1, 16_000),
  EMBEDDING_MODEL_TYPE: envOneOf('local', 'huggingface', 'openai', 'gemini'),
  HUGGINGFACE_MODEL: envText(),
};

interface Named {
  readonly provider: ProviderName | undefined;
  readonly model: string | undefined;
}

interface Values {
  readonly EMBEDDING_PROVIDER?: ProviderName | undefined;
  readonly EMBEDDING_MODEL?: string | undefined;
  readonly EMBEDDING_MODEL_TYPE?: ProviderName | undefined;
  readonly HUGGINGFACE_MODEL?: string | undefined;
}

/** `EMBEDDING_MODEL_TYPE` is another name of `EMBEDDING_PROVIDER`, and `HUGGINGFACE_MODEL` of `EMBEDDING_MODEL` for the provider huggingface. */
export function namedModel(values: Values): Named {
  const provider = values.EMBEDDING_PROVIDER ?? values.EMBEDDING_MODEL_TYPE;
  const model = values.EMBEDDING_MODEL ?? (provider === 'huggingface' ? values.HUGGINGFACE_MODEL : undefined);
  return { provider, model };
}

/** Two names of one thing must not differ. */
export function namingProblems(env: Environment, values: Values): ConfigProblem[] {
  const { EMBEDDING_PROVIDER: provider, EMBEDDING_MODEL_TYPE: type } = values;
  if (provider === undefined || type === undefined || provider === type) return [];
  const message = `is "${env.EMBEDDING_MODEL_TYPE}", expected "${provider}" as in EMBEDDING_PROVIDER, or to be unset`;
  return [{ name: 'EMBEDDING_MODEL_TYPE', message }];
}

/** One model of each provider, as its page has it. */
const EXAMPLES: Readonly<Record<Exclude<ProviderName, 'local'>, string>> = {
  openai: 'text-embedding-3-small',
  gemini: 'gemini-embedding-001',
  tei: 'BAAI/bge-small-en-v1.5',
  huggingface: 'BAAI/bge-small-en-v1.5',
  hash: 'hash/384',
  file: 'vectors.f16',
  adapted: 'BAAI/bge-small-en-v1.5',
};

/** A model that may cost money is never guessed, nor what a service makes; only `local` has a model where none is named. */
export function unnamedProblems(
  values: Values & { readonly EMBEDDING_DIMENSIONS?: number | undefined },
): ConfigProblem[] {
  const { provider, model } = namedModel(values);
  if (provider === undefined || provider === 'local') return [];
  if (model === undefined) {
    const message = `is missing, expected a model of the provider ${provider}, e.g. ${EXAMPLES[provider]}`;
    return [{ name: 'EMBEDDING_MODEL', message }];
  }
  const areKnown = values.EMBEDDING_DIMENSIONS !== undefined || knownDimensions(model) !== undefined;
  if (areKnown || !isRemote(provider)) return [];
  return [
    { name: 'EMBEDDING_DIMENSIONS', message: `is missing, expected how many dimensions ${model} makes, e.g. 1024` },
  ];
}
