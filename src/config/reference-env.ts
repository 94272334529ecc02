import { z } from 'zod';
import { defineMigration, type MigrationInput, type ModelReferenceInput, providerOf } from './define-migration.ts';
import { type Environment, envOneOf, envText, envValue, envWhole } from './env-values.ts';
import { knownDimensions } from './known-dimensions.ts';
import { modelShape, namedModel, namingProblems, unnamedProblems } from './model-env.ts';
import { invalidConfig, problemsOf } from './problems.ts';
import { PROVIDERS } from './provider-names.ts';
import type { IndexSettings, MigrationDefinition } from './types.ts';

const lists = envValue(
  "a number from 1 to 32768, 'reference' or 'pgvector'",
  (text): IndexSettings['lists'] | undefined => {
    if (text === 'reference' || text === 'pgvector') return text;
    const value = /^\d+$/.test(text) ? Number(text) : 0;
    return value >= 1 && value <= 32_768 ? value : undefined;
  },
);

const referenceSchema = z.object({
  ...modelShape,
  EMBEDDING_OLD_PROVIDER: envOneOf(...PROVIDERS),
  EMBEDDING_OLD_MODEL: envText(),
  EMBEDDING_OLD_DIMENSIONS: envWhole(1, 16_000),
  REEMBED_TABLE: envText(),
  REEMBED_TEXT_COLUMN: envText(),
  REEMBED_TEXT_EXPRESSION: envText(),
  REEMBED_COLUMN: envText(),
  REEMBED_TARGET_COLUMN: envText(),
  REEMBED_INDEX: envOneOf('ivfflat', 'hnsw', 'none'),
  REEMBED_LISTS: lists,
  REEMBED_DISTANCE: envOneOf('cosine', 'l2', 'ip'),
  REEMBED_OLD_INDEX: envOneOf('keep', 'drop'),
  REEMBED_OLD_COLUMN: envOneOf('keep', 'drop'),
});

/** Where a definition carries its overrides, unseen: what is pinned must not differ by how it came about. Known to a second copy of this module too. */
const OVERRIDES = Symbol.for('reembed.overrides');

type Values = z.output<typeof referenceSchema>;

/** The names of the variables that `overrideFromEnv` reads. */
export const referenceVariables: readonly string[] = Object.keys(referenceSchema.shape);

/**
 * This repository's own migration with the reference guide's variables laid over it. Other projects pin everything in
 * their file: there `EMBEDDING_MODEL` often still names the application's old model.
 *
 * @throws ConfigError `config_invalid`: first all variables that are wrong, then all that contradicts in the whole
 */
export function overrideFromEnv(input: MigrationInput, env: Environment = process.env): MigrationDefinition {
  const parsed = referenceSchema.safeParse(env);
  const problems = parsed.success
    ? [
        ...namingProblems(env, parsed.data),
        ...unnamedProblems(parsed.data),
        ...oldModelProblems(parsed.data),
        ...textProblems(parsed.data),
      ]
    : problemsOf(parsed.error);
  if (!parsed.success || problems.length > 0) {
    throw invalidConfig('The environment', problems, 'Correct the variables; docs/configuration.md describes them.');
  }
  const values = parsed.data;
  const definition = defineMigration({
    ...input,
    ...newModel(input, values),
    table: values.REEMBED_TABLE ?? input.table,
    text: textOf(values) ?? input.text,
    column: values.REEMBED_COLUMN ?? input.column,
    target: values.REEMBED_TARGET_COLUMN ?? input.target,
    oldIndex: values.REEMBED_OLD_INDEX ?? input.oldIndex,
    oldColumn: values.REEMBED_OLD_COLUMN ?? input.oldColumn,
    index: {
      ...input.index,
      kind: values.REEMBED_INDEX ?? input.index?.kind,
      lists: values.REEMBED_LISTS ?? input.index?.lists,
      distance: values.REEMBED_DISTANCE ?? input.index?.distance,
    },
    from: oldModel(values) ?? input.from,
  });
  const set = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  return Object.defineProperty(definition, OVERRIDES, { value: set });
}

/** The variables that overrode a definition which `overrideFromEnv` made; none for any other. */
export function overridesOf(definition: unknown): readonly string[] {
  if (typeof definition !== 'object' || definition === null) return [];
  const names: unknown = Reflect.get(definition, OVERRIDES);
  return Array.isArray(names) ? names.map(String) : [];
}

/** A model named in the environment takes its provider from its own name, not from the model that it replaces. */
function newModel(input: MigrationInput, values: Values): ModelReferenceInput {
  const named = namedModel(values);
  const model = named.model ?? input.model;
  const inherited = named.model === undefined ? input : undefined;
  return {
    model,
    provider: named.provider ?? inherited?.provider ?? providerOf(model),
    dimensions: values.EMBEDDING_DIMENSIONS ?? inherited?.dimensions ?? knownDimensions(model) ?? input.dimensions,
  };
}

function textOf(values: Values): MigrationInput['text'] | undefined {
  const expression = values.REEMBED_TEXT_EXPRESSION;
  return expression === undefined ? values.REEMBED_TEXT_COLUMN : { expression };
}

function textProblems(values: Values): { readonly name: string; readonly message: string }[] {
  if (values.REEMBED_TEXT_EXPRESSION === undefined || values.REEMBED_TEXT_COLUMN === undefined) return [];
  return [{ name: 'REEMBED_TEXT_EXPRESSION', message: 'is set beside REEMBED_TEXT_COLUMN, expected one of the two' }];
}

function oldModel(values: Values): ModelReferenceInput | undefined {
  const model = values.EMBEDDING_OLD_MODEL;
  const dimensions = values.EMBEDDING_OLD_DIMENSIONS ?? namedDimensions(model ?? '');
  if (model === undefined || dimensions === undefined) return undefined;
  return { model, provider: values.EMBEDDING_OLD_PROVIDER ?? providerOf(model), dimensions };
}

function oldModelProblems(values: Values): { readonly name: string; readonly message: string }[] {
  const model = values.EMBEDDING_OLD_MODEL;
  if (model === undefined) {
    const given = values.EMBEDDING_OLD_PROVIDER !== undefined || values.EMBEDDING_OLD_DIMENSIONS !== undefined;
    return given
      ? [{ name: 'EMBEDDING_OLD_MODEL', message: 'is missing, expected beside the other EMBEDDING_OLD_*' }]
      : [];
  }
  if (values.EMBEDDING_OLD_DIMENSIONS !== undefined || namedDimensions(model) !== undefined) return [];
  return [{ name: 'EMBEDDING_OLD_DIMENSIONS', message: `is missing, expected the dimensions of ${model}` }];
}

function namedDimensions(model: string): number | undefined {
  const named = /^hash\/(\d+)$/.exec(model)?.[1];
  return named === undefined ? undefined : Number(named);
}
