import { number } from '../../amounts.ts';
import { ProviderError } from '../../errors.ts';
import { type MigrationContext, throwIfStopped } from '../../state/context.ts';
import type { EvaluationCheck } from '../types.ts';
import { checkDimensions } from './dimensions.ts';
import { checkDistances } from './distances.ts';
import { checkIsotropy } from './isotropy.ts';
import { checkNearDuplicates } from './near-duplicates.ts';
import { checkNorms } from './norms.ts';
import { readPairs } from './read-pairs.ts';
import { readSample } from './read-sample.ts';
import { checkSimilarPairs } from './similar-pairs.ts';
import { checkThresholds } from './thresholds.ts';
import { type CheckedSample, type CheckedSide, type CheckOptions, MIN_ROWS } from './types.ts';

/**
 * The quick checks: facts about the vectors themselves, which need no labelled query. Before the backfill, within it and after the swap, on a
 * sample of the rows that have a vector on every side that is there; changes nothing.
 *
 * @returns in a fixed order; what cannot be said (of too few rows, of a model that is not configured) is left out or said to be unknown
 * @throws ConfigError `pairs_missing`, `pairs_invalid`, `pairs_empty`; what opening a model throws
 */
export async function runChecks(ctx: MigrationContext, options: CheckOptions): Promise<readonly EvaluationCheck[]> {
  // A wrong file is told before the table is read.
  const pairs = options.pairs === undefined ? [] : await readPairs(options.pairs);
  const sample = await readSample(ctx, options);
  const checks: EvaluationCheck[] = [describeSample(sample, options.seed)];
  for (const side of sample.sides) checks.push(await checkDimensions(side, options.providers));
  const enough = sample.texts.length >= MIN_ROWS;
  if (sample.texts.length > 0) checks.push(...sample.sides.map(checkNorms));
  if (enough) {
    checks.push(...sample.sides.map(checkIsotropy), checkNearDuplicates(sample), ...sample.sides.map(checkDistances));
    checks.push(...checkThresholds(sample, options));
  }
  if (pairs.length === 0) return checks;
  for (const side of sample.sides) {
    const open = options.providers[side.search.side];
    if (open === undefined) continue;
    throwIfStopped(ctx, 'inspect');
    const provider = await open();
    try {
      checks.push(await checkSimilarPairs(side, provider, pairs, options.pairLimit, ctx.signal));
    } catch (error) {
      if (!(error instanceof ProviderError) || error.code !== 'vector_missing') throw error;
      checks.push(unknownPairs(side, provider.model.name));
    }
  }
  return checks;
}

/** The provider `file` has vectors for the texts of a file only. */
function unknownPairs({ search: { side } }: CheckedSide, model: string): EvaluationCheck {
  const message = `The similar pairs were not asked of the ${side} model ${model}, which has vectors for known texts only.`;
  return { code: 'similar_pairs', level: 'info', message, values: { side } };
}

function describeSample({ sides, texts }: CheckedSample, seed: number): EvaluationCheck {
  const rows = texts.length;
  const which = sides.length === 2 ? 'both vectors' : `the ${sides[0]?.search.side ?? 'new'} vector`;
  const few = rows < MIN_ROWS;
  const expected = few ? `, expected at least ${MIN_ROWS}: nothing is said about distances` : '';
  return {
    code: 'sample',
    level: few ? 'warn' : 'info',
    message: `Looked at ${number(rows)} ${rows === 1 ? 'row' : 'rows'} with a text and ${which} (seed ${seed})${expected}.`,
    values: { rows, seed, sides: sides.map(({ search }) => search.side).join(' ') },
  };
}
