import type { Argv } from 'yargs';
import { amount } from './amount.ts';
import { duration } from './duration.ts';

/** What `evaluate` takes about its quick checks, and about the shadow's log. */
export function checksFlags<T>(yargs: Argv<T>) {
  const text = { type: 'string', requiresArg: true } as const;
  return yargs
    .option('checks', {
      type: 'boolean',
      default: true,
      describe: 'Quick checks of the vectors themselves; not with --no-checks',
    })
    .option('pairs', { ...text, describe: 'A .jsonl of { a, b, similar? }: pairs that each model is checked by' })
    .option('pair-limit', {
      ...text,
      coerce: amount('pair-limit', 0, 1),
      describe: 'The cosine that similar pairs must reach',
      defaultDescription: 'measured for each model',
    })
    .option('threshold', {
      ...text,
      coerce: thresholds,
      describe: 'Similarities that the application compares with, e.g. 0.78,0.9: where they move',
    })
    .option('from-shadow', { type: 'boolean', describe: 'Report what the shadow of searches logged' })
    .option('monitor', {
      ...text,
      coerce: duration('monitor'),
      describe: 'Ask both sides for that long, e.g. 10m, and report how far they agree',
    })
    .option('min-overlap', {
      ...text,
      coerce: amount('min-overlap', 0, 1),
      describe: 'The overlap that --from-shadow and --monitor must reach: 0 when it does, 1 when not',
    })
    .conflicts('from-shadow', ['monitor', 'queries', 'known-item', 'pairs', 'threshold'])
    .conflicts('monitor', ['known-item', 'pairs', 'threshold']);
}

function thresholds(value: unknown): readonly number[] | undefined {
  if (value === undefined) return undefined;
  const parts = String(Array.isArray(value) ? value.join(',') : value).split(',');
  const found = parts.map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (found.every((each) => each >= -1 && each <= 1)) return found;
  throw new Error(`--threshold is ${JSON.stringify(value)}, expected numbers from -1 to 1, e.g. 0.78,0.9`);
}
