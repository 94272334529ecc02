import { AdapterError } from '../errors.ts';
import { columnMeans, gaussian, takeRows } from './dense.ts';
import type { Pairs } from './fit-types.ts';
import { type Algebra, symmetricEigen } from './linear-algebra.ts';
import type { Matrix, ProjectionKind } from './types.ts';

/** With fewer, five parts of which each is left out once tell nothing. */
export const LEAST_SAMPLES = 50;
/** An eighth of the directions that so many samples of these spaces could span is the least that a map can be learned from. */
const LEAST_SPAN = 1 / 8;
const MOST_PROBES = 256;

/**
 * Refuses pairs from which nothing can be learned, whatever the kind.
 * @throws AdapterError `dimensions_differ`, `too_few_samples`, `not_finite`, `degenerate_samples`
 */
export function assertPairs({ source, target }: Pairs): void {
  if (source.rows !== target.rows) {
    throw refusal('dimensions_differ', `There are ${source.rows} source vectors for ${target.rows} target vectors.`, {
      hint: 'Give each source vector the target vector of the same text.',
      context: { observed: source.rows, expected: target.rows },
    });
  }
  for (const [name, matrix] of [
    ['source', source],
    ['target', target],
  ] as const)
    assertShape(name, matrix);
  if (source.rows < LEAST_SAMPLES) {
    throw refusal('too_few_samples', `There are ${source.rows} pairs to learn from; ${LEAST_SAMPLES} are the least.`, {
      hint: 'Train with more samples: --samples 1000 is a good start.',
      context: { observed: source.rows, expected: LEAST_SAMPLES },
    });
  }
  assertValues('source', source);
  assertValues('target', target);
  assertDistinct('source', source);
  assertDistinct('target', target);
}

/** @throws AdapterError `dimensions_differ` where the kind takes vectors as they are */
export function assertDimensions(kind: ProjectionKind, { source, target }: Pairs): void {
  if (kind !== 'identity' || source.columns === target.columns) return;
  throw refusal(
    'dimensions_differ',
    `identity takes vectors as they are, but the source has ${source.columns} dimensions and the target ${target.columns}.`,
    { hint: 'Train with --kind auto.', context: { observed: source.columns, expected: target.columns } },
  );
}

/**
 * Refuses source vectors that span too few directions: what a map makes of them cannot span more. Fewer samples than dimensions are fine.
 * @throws AdapterError `rank_deficient`
 */
export async function assertSpan(algebra: Algebra, { source, target }: Pairs): Promise<void> {
  const possible = Math.min(source.rows - 1, source.columns, target.columns);
  const least = Math.min(MOST_PROBES, Math.ceil(possible * LEAST_SPAN));
  const rows = takeRows(
    source,
    Array.from({ length: source.rows }, (_, i) => i),
    columnMeans(source),
  );
  // Random mixtures of the samples span as many directions as these do, as far as there are mixtures.
  const mixtures = await algebra.multiply(gaussian(least, source.rows, 1), rows);
  const { values } = symmetricEigen(await algebra.multiply(mixtures, mixtures, 'second'));
  const span = values.filter((value) => value > 1e-10 * (values[0] ?? 0)).length;
  if (span >= least) return;
  throw refusal(
    'rank_deficient',
    `The ${source.rows} source vectors span only ${span} directions about their mean; a map to ${target.columns} dimensions needs at least ${least}.`,
    {
      hint: 'Look at the old vectors: such a column holds placeholders or copies, and only re-embedding helps.',
      context: { observed: span, expected: least },
    },
  );
}

function assertShape(name: string, { rows, columns, data }: Matrix): void {
  if (columns > 0 && data.length === rows * columns) return;
  throw refusal(
    'dimensions_differ',
    `The ${name} matrix holds ${data.length} values, ${rows} × ${columns} were expected.`,
    {
      context: { observed: data.length, expected: rows * columns },
    },
  );
}

function assertValues(name: string, { rows, columns, data }: Matrix): void {
  for (let row = 0; row < rows; row++) {
    let square = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) square += (data[i] ?? 0) ** 2;
    if (!Number.isFinite(square)) {
      throw refusal('not_finite', `The ${name} vector of pair ${row} holds NaN or infinite values.`, {
        hint: 'Leave this row out, or embed it again.',
        context: { row, side: name },
      });
    }
    if (square === 0) {
      throw refusal('degenerate_samples', `The ${name} vector of pair ${row} is all zeros: it has no direction.`, {
        hint: 'Leave this row out, or embed it again.',
        context: { row, side: name },
      });
    }
  }
}

/** Copies beyond half: placeholders, or a table of few texts. */
function assertDistinct(name: string, { rows, columns, data }: Matrix): void {
  const seen = new Set<string>();
  for (let row = 0; row < rows; row++) {
    const values = data.subarray(row * columns, (row + 1) * columns);
    seen.add(Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('latin1'));
  }
  if (seen.size * 2 >= rows) return;
  throw refusal(
    'degenerate_samples',
    `Of ${rows} ${name} vectors only ${seen.size} differ; half of them is the least.`,
    {
      hint: 'Sample rows with different texts; a model that gives the same vector for all of them is broken.',
      context: { observed: seen.size, expected: Math.ceil(rows / 2), side: name },
    },
  );
}

function refusal(
  code: string,
  message: string,
  { hint, context }: { readonly hint?: string; readonly context: Readonly<Record<string, unknown>> },
): AdapterError {
  return new AdapterError(code, message, { step: 'adapter', context, ...(hint === undefined ? {} : { hint }) });
}
