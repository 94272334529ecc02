import type { z } from 'zod';
import { maxDimensions } from '../sql/quantization.ts';
import { definitionSchema } from './definition-schema.ts';
import { type ConfigProblem, invalidConfig, problemsOf } from './problems.ts';
import type { IndexSettings, MigrationDefinition, ModelReference, ProviderName, QualifiedName } from './types.ts';

type Parsed = z.output<typeof definitionSchema>;

/** A model as written by hand: the provider may be left to the name. */
export interface ModelReferenceInput {
  readonly provider?: ProviderName | undefined;
  readonly model: string;
  readonly dimensions: number;
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };
type Defaulted = Omit<
  MigrationDefinition,
  'id' | 'table' | 'text' | 'column' | 'model' | 'dimensions' | 'index' | 'from'
>;

/** What `defineMigration` takes: six things that nothing could guess, and whatever differs from the defaults. */
export interface MigrationInput extends Optional<Defaulted> {
  readonly id: string;
  /** `segments`, `app.segments`, or `"My Schema"."My.Table"` for names with a dot or a quote. */
  readonly table: string | QualifiedName;
  /** A column, or an SQL expression over columns of the row: `coalesce(title, '') || E'\\n' || coalesce(body, '')`. */
  readonly text: string | { readonly expression: string };
  readonly column: string;
  readonly model: string;
  readonly dimensions: number;
  readonly index?: Optional<IndexSettings> | undefined;
  readonly from?: ModelReferenceInput | undefined;
}

/**
 * Checks a migration and fills in the defaults. A checked definition may be given again and comes back equal.
 *
 * @throws ConfigError `config_invalid` that names every problem at once, each with what was expected
 */
export function defineMigration(input: MigrationInput): MigrationDefinition {
  return parseMigration(input, 'The migration');
}

/** `defineMigration` for a value of unknown shape, as a config file exports it; `subject` begins the error's message. */
export function parseMigration(input: unknown, subject: string): MigrationDefinition {
  const parsed = definitionSchema.safeParse(input);
  const problems = parsed.success ? contradictions(parsed.data) : problemsOf(parsed.error);
  if (!parsed.success || problems.length > 0) {
    throw invalidConfig(
      `${subject}${nameOf(input)}`,
      problems,
      'Correct reembed.config; docs/configuration.md describes every setting.',
    );
  }
  return withDefaults(parsed.data);
}

/** The provider that a model's name tells: `hash/384` is the hash provider's, all else is local. */
export function providerOf(model: string): ProviderName {
  return model.startsWith('hash/') ? 'hash' : 'local';
}

function withDefaults(data: Parsed): MigrationDefinition {
  return {
    ...data,
    target: targetOf(data),
    provider: data.provider ?? providerOf(data.model),
    revision: data.revision,
    index: {
      ...data.index,
      kind: data.index.kind,
      m: data.index.m,
      efConstruction: data.index.efConstruction,
      distance: data.index.distance,
    },
    from: data.from === undefined ? undefined : completeReference(data.from),
  };
}

function completeReference(reference: NonNullable<Parsed['from']>): ModelReference {
  return { ...reference, provider: reference.provider ?? providerOf(reference.model) };
}

function targetOf(data: Parsed): string {
  return data.target ?? `${data.column}_${data.dimensions}`;
}

/** What is wrong only in combination. */
function contradictions(data: Parsed): ConfigProblem[] {
  const target = targetOf(data);
  const names = [...(typeof data.text === 'string' ? [data.text] : []), data.column, target];
  const problems: ConfigProblem[] = [];
  if (new Set(names).size < names.length) {
    problems.push({ name: 'target', message: `is "${target}", expected text, column and target to be three columns` });
  }
  if (Buffer.byteLength(target) > 63) {
    problems.push({
      name: 'target',
      message: `is "${target}", longer than 63 bytes; expected a shorter one to be set`,
    });
  }
  return [
    ...problems,
    ...indexContradictions(data),
    ...modelContradictions('', data),
    ...(data.from ? modelContradictions('from.', data.from) : []),
  ];
}

function indexContradictions({ index, vectorType, dimensions }: Parsed): ConfigProblem[] {
  const { quantization } = index;
  if (index.kind === 'none') return [];
  if (vectorType === 'halfvec' && quantization === 'halfvec') {
    const message = "is 'halfvec', expected 'none' or 'binary' where vectorType is 'halfvec' already";
    return [{ name: 'index.quantization', message }];
  }
  const limit = maxDimensions(vectorType, quantization);
  if (dimensions <= limit) return [];
  const type = quantization === 'none' ? vectorType : quantization;
  const wayOn = limit === 2000 ? "vectorType 'halfvec' (to 4000) or index kind 'none'" : "index kind 'none'";
  return [
    {
      name: 'dimensions',
      message: `is ${dimensions}, expected at most ${limit} for an index on ${type}; else ${wayOn}`,
    },
  ];
}

function modelContradictions(prefix: string, reference: ModelReferenceInput): ConfigProblem[] {
  const { model, dimensions, provider = providerOf(model) } = reference;
  const named = /^hash\/(\d+)$/.exec(model)?.[1];
  if (provider === 'adapted' && prefix !== '') {
    return [
      { name: `${prefix}provider`, message: "is 'adapted', expected the provider of the model that made the vectors" },
    ];
  }
  if (provider === 'hash' && named === undefined) {
    return [{ name: `${prefix}model`, message: `is "${model}", expected hash/<dimensions> for the provider 'hash'` }];
  }
  if (model.startsWith('hash/') && provider !== 'hash' && provider !== 'adapted') {
    return [{ name: `${prefix}provider`, message: `is '${provider}', expected 'hash' for the model ${model}` }];
  }
  if (provider !== 'hash' || Number(named) === dimensions) return [];
  return [{ name: `${prefix}dimensions`, message: `is ${dimensions}, expected ${named} as in the model ${model}` }];
}

function nameOf(input: unknown): string {
  if (typeof input !== 'object' || input === null || !('id' in input) || typeof input.id !== 'string') return '';
  return ` "${input.id.slice(0, 60)}"`;
}
