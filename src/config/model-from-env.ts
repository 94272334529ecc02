import { z } from 'zod';
import { providerOf } from './define-migration.ts';
import type { Environment } from './env-values.ts';
import { knownDimensions } from './known-dimensions.ts';
import { modelShape, namedModel, namingProblems, unnamedProblems } from './model-env.ts';
import { invalidConfig, problemsOf } from './problems.ts';
import { isRemote } from './provider-names.ts';
import type { ModelReference } from './types.ts';

const modelSchema = z.object(modelShape);
/** Where nothing is named: it costs nothing, and no text leaves the machine. */
const LOCAL_DEFAULT = { model: 'BAAI/bge-small-en-v1.5', dimensions: 384 };

/**
 * The model that an application encodes with: `EMBEDDING_PROVIDER`, `EMBEDDING_MODEL` (`BAAI/bge-small-en-v1.5`, but none for a provider other
 * than `local`) and `EMBEDDING_DIMENSIONS` (what `hash/<dimensions>` says, or is known of the model).
 *
 * @throws ConfigError `config_invalid` that names every variable that is wrong or missing
 */
export function modelFromEnv(env: Environment = process.env): ModelReference {
  const parsed = modelSchema.safeParse(env);
  const problems = parsed.success
    ? [...namingProblems(env, parsed.data), ...unnamedProblems(parsed.data)]
    : problemsOf(parsed.error);
  if (!parsed.success || problems.length > 0) {
    const { provider = '' } = parsed.success ? namedModel(parsed.data) : {};
    const page = isRemote(provider) ? `providers/${provider}` : 'models';
    throw invalidConfig('The environment', problems, `Correct the variables; see docs/${page}.md.`);
  }
  const values = parsed.data;
  const { provider, model = LOCAL_DEFAULT.model } = namedModel(values);
  return {
    provider: provider ?? providerOf(model),
    model,
    dimensions: values.EMBEDDING_DIMENSIONS ?? knownDimensions(model) ?? LOCAL_DEFAULT.dimensions,
  };
}
