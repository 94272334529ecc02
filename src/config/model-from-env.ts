import { z } from 'zod';
import { providerOf } from './define-migration.ts';
import { type Environment, envOneOf, envText, envWhole } from './env-values.ts';
import { invalidConfig, problemsOf } from './problems.ts';
import type { ModelReference } from './types.ts';

const modelSchema = z.object({
  EMBEDDING_PROVIDER: envOneOf('local', 'hash', 'file'),
  EMBEDDING_MODEL: envText(),
  EMBEDDING_DIMENSIONS: envWhole(1, 16_000),
});

/**
 * The model that an application encodes with: `EMBEDDING_PROVIDER`, `EMBEDDING_MODEL` (`BAAI/bge-small-en-v1.5`) and
 * `EMBEDDING_DIMENSIONS` (384, or what `hash/<dimensions>` says).
 *
 * @throws ConfigError `config_invalid` that names every variable that is wrong
 */
export function modelFromEnv(env: Environment = process.env): ModelReference {
  const parsed = modelSchema.safeParse(env);
  if (!parsed.success) {
    throw invalidConfig('The environment', problemsOf(parsed.error), 'Correct the variables; see docs/models.md.');
  }
  const values = parsed.data;
  const model = values.EMBEDDING_MODEL ?? 'BAAI/bge-small-en-v1.5';
  const named = /^hash\/(\d+)$/.exec(model)?.[1];
  return {
    provider: values.EMBEDDING_PROVIDER ?? providerOf(model),
    model,
    dimensions: values.EMBEDDING_DIMENSIONS ?? (named === undefined ? 384 : Number(named)),
  };
}
