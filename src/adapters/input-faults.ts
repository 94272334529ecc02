import { AdapterError } from '../errors.ts';
import type { InputRange, Matrix, ProjectionEntry } from './types.ts';

/** A vector that a projection must not map. */
export interface InputFault {
  /** Counted from 0. */
  readonly row: number;
  readonly code: 'not_finite' | 'outside_range';
  /** Its length; NaN or Infinity where it is not finite. */
  readonly norm: number;
}

/** Vectors whose length lies so far beyond those that were learned from are of another space. */
const MARGIN = 0.1;
/** Rows named in an error. */
const NAMED = 1000;

/** The lengths that a vector may have: as much beyond the learned ones as these lie apart, a tenth at least; and never zero. */
export function allowedNorms({ minNorm, maxNorm }: InputRange): { readonly low: number; readonly high: number } {
  const apart = maxNorm - minNorm;
  return {
    low: Math.max(0, minNorm - Math.max(MARGIN * minNorm, apart)),
    high: maxNorm + Math.max(MARGIN * maxNorm, apart),
  };
}

/** The rows with NaN or Infinity, and those that are not of the space that was learned from; in order. */
export function inputFaults({ rows, columns, data }: Matrix, range: InputRange): InputFault[] {
  const { low, high } = allowedNorms(range);
  const faults: InputFault[] = [];
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      const value = data[i] ?? Number.NaN;
      squares += value * value;
    }
    // In doubles no sum of squared floats overflows: it is finite exactly where all of them are.
    const norm = Math.sqrt(squares);
    if (!Number.isFinite(norm)) faults.push({ row, code: 'not_finite', norm });
    else if (norm === 0 || norm < low || norm > high) faults.push({ row, code: 'outside_range', norm });
  }
  return faults;
}

/** The refusal of a batch, by its first fault; `context.faults` has them all, a thousand at most. */
export function refuseInput(entry: ProjectionEntry, rows: number, faults: readonly [InputFault, ...InputFault[]]) {
  const [{ row, code, norm }] = faults;
  const which =
    rows === 1
      ? 'The vector'
      : `Vector ${row} of ${rows}${faults.length === 1 ? '' : `, and ${faults.length - 1} more,`}`;
  const context = { projection: entry.id, rows, count: faults.length, faults: faults.slice(0, NAMED) };
  if (code === 'not_finite') {
    return new AdapterError('not_finite', `${which} holds NaN or Infinity: the projection ${entry.id} cannot map it.`, {
      step: 'adapter',
      hint: 'Find out where it comes from: a stored vector is always finite in pgvector.',
      context,
    });
  }
  const { low, high } = allowedNorms(entry.range);
  const { minNorm, maxNorm } = entry.range;
  return new AdapterError(
    'outside_range',
    `${which} has length ${shown(norm)}; the projection ${entry.id} was learned from vectors of length ${shown(minNorm)} to ${shown(maxNorm)}, and takes ${shown(low)} to ${shown(high)}.`,
    {
      step: 'adapter',
      hint: 'These are not vectors of the model that it was learned from. Choose the projection of that model, or train one with "reembed adapter train".',
      context,
    },
  );
}

function shown(value: number): string {
  return String(Number(value.toPrecision(4)));
}
