import { z } from 'zod';
import { problemsOf, shown } from './problems.ts';
import { PROVIDERS } from './provider-names.ts';
import { nameProblem, parseQualifiedName } from './qualified-name.ts';
import type { QualifiedName } from './types.ts';

/** pgvector's limit for a column; an index takes fewer. */
const MAX_DIMENSIONS = 16_000;
const TABLE_EXPECTED = `'segments', 'app.segments' or '"My Schema"."My.Table"'`;

function expected(what: string): { error: (issue: { readonly input?: unknown }) => string } {
  return {
    error: (issue) =>
      issue.input === undefined ? `is missing, expected ${what}` : `is ${shown(issue.input)}, expected ${what}`,
  };
}

function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, expected(values.map((value) => `'${value}'`).join(' or ')));
}

function wholeNumber(min: number, max: number) {
  const rule = expected(`a whole number from ${min} to ${max}`);
  return z.number(rule).int(rule).min(min, rule).max(max, rule);
}

const columnName = z.string(expected("a column's name")).superRefine((name, ctx) => {
  const quoted = name.length > 1 && name.startsWith('"') && name.endsWith('"');
  const problem = quoted ? `is ${shown(name)}, expected the name as it is stored, without quotes` : nameProblem(name);
  if (problem !== undefined) ctx.addIssue({ code: 'custom', message: problem });
});

const TEXT_EXPECTED = "a column's name, or { expression: '…' } over several columns";
const expressionRule = expected('an SQL expression over columns of the table');

const textExpression = z.strictObject(
  { expression: z.string(expressionRule).regex(/\S/, expressionRule) },
  expected(TEXT_EXPECTED),
);

const textSource = z
  .unknown()
  .optional()
  .transform((value, ctx): string | { readonly expression: string } => {
    const read = typeof value === 'string' ? columnName.safeParse(value) : textExpression.safeParse(value);
    if (read.success) return read.data;
    for (const { name, message } of problemsOf(read.error)) {
      ctx.addIssue({ code: 'custom', message, path: name === '' ? [] : [name] });
    }
    return z.NEVER;
  });

const tableName = z
  .unknown()
  .optional()
  .transform((value, ctx): QualifiedName => {
    const name = typeof value === 'string' ? parseQualifiedName(value) : readQualifiedName(value);
    if (name !== undefined) return name;
    const message = `is ${shown(value)}, expected ${TABLE_EXPECTED}`;
    ctx.addIssue({ code: 'custom', message: value === undefined ? `is missing, expected ${TABLE_EXPECTED}` : message });
    return z.NEVER;
  });

function readQualifiedName(value: unknown): QualifiedName | undefined {
  if (typeof value !== 'object' || value === null || !('name' in value)) return undefined;
  const { name } = value;
  const schema = 'schema' in value ? value.schema : undefined;
  if (typeof name !== 'string' || nameProblem(name) !== undefined) return undefined;
  if (schema === undefined) return { schema: undefined, name };
  return typeof schema === 'string' && nameProblem(schema) === undefined ? { schema, name } : undefined;
}

const dimensions = wholeNumber(1, MAX_DIMENSIONS);
const model = z.string(expected("a model's name or directory")).min(1, expected("a model's name or directory"));
const provider = oneOf(PROVIDERS);

/** One model; `provider` is read from the name when it is not given. */
export const modelReferenceSchema = z.strictObject(
  { provider: provider.optional(), model, dimensions },
  expected('{ model, dimensions } and perhaps a provider'),
);

const lists = z.union([wholeNumber(1, 32_768), oneOf(['reference', 'pgvector'])], {
  ...expected("a number from 1 to 32768, 'reference' or 'pgvector'"),
});

const index = z.strictObject(
  {
    kind: oneOf(['ivfflat', 'hnsw', 'none']).optional(),
    lists: lists.default('reference'),
    m: wholeNumber(2, 100).optional(),
    efConstruction: wholeNumber(4, 1000).optional(),
    quantization: oneOf(['none', 'halfvec', 'binary']).default('none'),
    distance: oneOf(['cosine', 'l2', 'ip']).optional(),
  },
  expected("{ kind: 'ivfflat' }, { kind: 'hnsw' } or { kind: 'none' }"),
);

/** What a migration's author writes; the parsed form lacks only the defaults that depend on other settings. */
export const definitionSchema = z.strictObject(
  {
    id: z
      .string(expected('a name for this migration'))
      .regex(/^[a-z][a-z0-9-]{0,39}$/, expected('1 to 40 of a-z, 0-9 and "-", beginning with a letter')),
    table: tableName,
    text: textSource,
    column: columnName,
    target: columnName.optional(),
    provider: provider.optional(),
    model,
    dimensions,
    revision: z.string(expected("a revision's name")).min(1, expected("a revision's name")).optional(),
    vectorType: oneOf(['vector', 'halfvec']).default('vector'),
    index: index.prefault({}),
    oldIndex: oneOf(['keep', 'drop']).default('keep'),
    oldColumn: oneOf(['keep', 'drop']).default('keep'),
    retentionDays: wholeNumber(0, 3650).default(7),
    userTriggers: oneOf(['refuse', 'fire']).default('refuse'),
    recreateViews: z.boolean(expected('true or false')).default(false),
    from: modelReferenceSchema.optional(),
  },
  expected('an object with id, table, text, column, model and dimensions'),
);
