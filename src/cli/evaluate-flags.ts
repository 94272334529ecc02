import type { Argv } from 'yargs';
import type { QuerySource } from '../evaluate/load-queries.ts';
import { type GlobalFlags, migrationFlags } from './command.ts';
import { shadowFlags } from './shadow-flags.ts';
import { wholeNumber } from './whole-number.ts';

export function evaluateFlags(yargs: Argv<GlobalFlags>) {
  const text = { type: 'string', requiresArg: true } as const;
  const flags = migrationFlags(yargs)
    .option('queries', { ...text, describe: 'A .jsonl of { query, relevant, slice? }, or a .txt with a query a line' })
    .option('known-item', {
      ...text,
      describe: 'A column whose text has to find its own row; "text": the first sentence',
    })
    .conflicts('queries', 'known-item')
    .option('k', {
      ...text,
      coerce: wholeNumber('k', 1),
      describe: 'Depth of the agreement, and of R@k',
      defaultDescription: '10',
    })
    .option('sample', {
      ...text,
      coerce: wholeNumber('sample', 1),
      describe: 'Queries at most',
      defaultDescription: 'all of a file, 500 known items',
    })
    .option('seed', {
      ...text,
      coerce: wholeNumber('seed', 0),
      describe: 'Draws queries and resamples',
      defaultDescription: '1',
    })
    .option('tolerance', {
      ...text,
      coerce: share('tolerance'),
      describe: 'Recall@10 that may be lost, absolute',
      defaultDescription: 'REEMBED_TOLERANCE, 0.02',
    })
    .option('min-gain', {
      ...text,
      coerce: share('min-gain'),
      describe: 'Recall@10 that must be gained instead',
      defaultDescription: 'REEMBED_MIN_GAIN',
    })
    .option('rerank', {
      type: 'boolean',
      default: false,
      describe: 'Also the new vectors behind the reranker (RERANK_*); the verdict is then about those',
    })
    .option('adapter', {
      ...text,
      describe: "Also queries that this projection maps to the other model's vectors; auto: the best",
    })
    .option('judge-adapter', {
      type: 'boolean',
      describe: 'The verdict is about the mapped queries, and not kept for 007',
    })
    .check(({ adapter, 'judge-adapter': judges }) => {
      if (judges !== true || adapter !== undefined) return true;
      throw new Error('--judge-adapter asks for a verdict on the queries of --adapter, which is not given');
    })
    .option('checks', { type: 'boolean', default: true, describe: 'The quick checks of the vectors themselves' })
    .option('pairs', { ...text, describe: 'A .jsonl of { a, b, similar? }: texts that have to lie near each other' })
    .option('pair-limit', {
      ...text,
      coerce: share('pair-limit'),
      describe: 'The cosine that similar pairs must reach',
      defaultDescription: 'measured for each model',
    })
    .option('threshold', {
      ...text,
      coerce: thresholds,
      describe: 'Similarities that your code compares with, to be moved: 0.78,0.85',
      defaultDescription: '0.7,0.8,0.9',
    })
    .option('output', { ...text, coerce: reportFile, describe: 'Also a report: .html, .md or .json' });
  return shadowFlags(flags);
}

/** The flags as yargs reads them, by their names in camel case. */
export type EvaluateFlags = Awaited<ReturnType<typeof evaluateFlags>['argv']>;

/** Undefined where no flag names any: then the environment does. */
export function querySource({
  queries,
  knownItem,
}: Pick<EvaluateFlags, 'queries' | 'knownItem'>): QuerySource | undefined {
  if (queries !== undefined) return { file: queries };
  return knownItem === undefined ? undefined : { knownItem };
}

function share(flag: string): (value: unknown) => number | undefined {
  return (value) => {
    if (value === undefined) return undefined;
    const found = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
    if (found >= 0 && found <= 1) return found;
    throw new Error(`--${flag} is ${JSON.stringify(value)}, expected a number from 0 to 1, e.g. 0.02`);
  };
}

function thresholds(value: unknown): number[] | undefined {
  if (value === undefined) return undefined;
  const found = String(value)
    .split(',')
    .map((each) => (each.trim() === '' ? Number.NaN : Number(each)));
  if (found.every((each) => each >= -1 && each <= 1)) return found;
  throw new Error(`--threshold is ${JSON.stringify(value)}, expected similarities from -1 to 1, e.g. 0.78 or 0.7,0.8`);
}

function reportFile(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && /\.(html?|md|json)$/i.test(value)) return value;
  throw new Error(`--output is ${JSON.stringify(value)}, expected a file that ends in .html, .md or .json`);
}
