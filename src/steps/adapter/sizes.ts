import type { ProjectionKind } from '../../adapters/types.ts';
import { count, number } from '../../amounts.ts';
import { AdapterError } from '../../errors.ts';

/** How a sample is cut. */
export interface PartSizes {
  readonly training: number;
  /** Of the training part, to choose by; 0 where nothing is chosen. */
  readonly validation: number;
  readonly holdout: number;
}

export interface WantedSizes {
  /** Pairs to learn from (1,000). */
  readonly samples?: number | undefined;
  /** Pairs to measure on, on top: a quarter of the samples unless said, 200 to 500. */
  readonly holdout?: number | undefined;
}

const SAMPLES = 1_000;
const HOLDOUT = { share: 0.25, least: 200, most: 500 };
const VALIDATION_SHARE = 0.2;
/** With fewer neither a map nor its measure says anything. */
const LEAST = { training: 100, holdout: 50 };

/** What is wanted, with the defaults. */
export function wantedSizes({ samples = SAMPLES, holdout }: WantedSizes): { samples: number; holdout: number } {
  const usual = Math.min(HOLDOUT.most, Math.max(HOLDOUT.least, Math.round(HOLDOUT.share * samples)));
  return { samples, holdout: holdout ?? usual };
}

/**
 * What can be made of the texts that were found: all that is wanted, or of fewer a fifth to measure on.
 *
 * @param where the texts are, for the refusal
 * @throws AdapterError `too_few_rows`
 */
export function partSizes(
  found: number,
  wanted: { readonly samples: number; readonly holdout: number },
  kind: 'auto' | ProjectionKind,
  where: string,
): PartSizes {
  const holdout =
    found >= wanted.samples + wanted.holdout
      ? wanted.holdout
      : Math.min(wanted.holdout, Math.max(LEAST.holdout, Math.floor(found / 5)));
  const samples = Math.min(wanted.samples, found - holdout);
  if (samples < LEAST.training || holdout < LEAST.holdout) throw tooFew(found, where);
  const validation = kind === 'auto' || kind === 'residual-mlp' ? Math.round(VALIDATION_SHARE * samples) : 0;
  return { training: samples - validation, validation, holdout };
}

function tooFew(found: number, where: string): AdapterError {
  const least = LEAST.training + LEAST.holdout;
  return new AdapterError(
    'too_few_rows',
    `${where} has ${count(found, 'different text')} with a vector to learn from, at least ${number(least)} are expected: ${LEAST.training} to learn from and ${LEAST.holdout} to measure on.`,
    {
      step: 'adapter',
      hint: 'With so few rows embed the texts themselves: "reembed backfill". Or learn from other texts of the same kind with --text-file.',
      context: { found, least },
    },
  );
}
