import { z } from 'zod';
import { providerOf } from './define-migration.ts';
import type { Environment } from './env-values.ts';
import { modelShape, namedModel, namingProblems } from './model-env.ts';
import { invalidConfig, problemsOf } from './problems.ts';
import type { ModelReference } from './types.ts';

const modelSchema = z.object(modelShape);

/**
 * The model that an application encodes with: `EMBEDDING_PROVIDER`, `EMBEDDING_MODEL` (`BAAI/bge-small-en-v1.5`) and
 * `EMBEDDING_DIMENSIONS` (384, or what `hash/<dimensions>` says).
 *
 * @throws ConfigError `config_invalid` that names every variable that is wrong
 */
export function modelFromEnv(env: Environment = process.env): ModelReference {
  const parsed = modelSchema.safeParse(env);
  const problems = parsed.success ? namingProblems(env, parsed.data) : problemsOf(parsed.error);
  if (!parsed.success || problems.length > 0) {
    throw invalidConfig('The environment', problems, 'Correct the variables; see docs/models.md.');
  }
  const values = parsed.data;
  const { provider, model = 'BAAI/bge-small-en-v1.5' } = namedModel(values);
  const named = /^hash\/(\d+)$/.exec(model)?.[1];
  return {
    provider: provider ?? providerOf(model),
    model,
    dimensions: values.EMBEDDING_DIMENSIONS ?? (named === undefined ? 384 : Number(named)),
  };
}
