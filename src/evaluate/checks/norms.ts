import { count } from '../../amounts.ts';
import { ascending, quantile } from '../../vector/distribution.ts';
import { norm } from '../../vector/math.ts';
import type { EvaluationCheck } from '../types.ts';
import { shortNumber } from './short-number.ts';
import type { CheckedSide } from './types.ts';

const UNIT_TOLERANCE = 1e-3;

/** Lengths of a side's vectors: none may be zero; where inner products are compared, or the model normalises, all must be 1. */
export function checkNorms({ search, vectors }: CheckedSide): EvaluationCheck {
  const lengths = ascending(vectors.map(norm));
  const zero = lengths.filter((length) => !(length > 0)).length;
  const unit = lengths.filter((length) => Math.abs(length - 1) <= UNIT_TOLERANCE).length;
  const [min, median, max] = [0, 0.5, 1].map((share) => quantile(lengths, share)) as [number, number, number];
  const others = lengths.length - unit;
  const unitWanted = search.distance === 'ip' || search.model?.normalize === true;
  const range = `The ${search.side} vectors have lengths from ${shortNumber(min)} to ${shortNumber(max)}, ${shortNumber(median)} in the middle`;
  const found = judge({ zero, others, unitWanted, total: lengths.length });
  return {
    code: 'norms',
    level: zero > 0 && search.side === 'new' ? 'fail' : zero > 0 || (unitWanted && others > 0) ? 'warn' : 'info',
    message: `${range}: ${found}.`,
    values: { side: search.side, min, median, max, zero, unit, rows: lengths.length },
  };
}

interface Lengths {
  readonly zero: number;
  readonly others: number;
  readonly unitWanted: boolean;
  readonly total: number;
}

function judge({ zero, others, unitWanted, total }: Lengths): string {
  if (zero > 0) return `${zero} of ${count(total, 'is', 'are')} zero, which no cosine index finds, expected none`;
  if (others === 0) return 'all have length 1';
  if (unitWanted) return `${others} of ${total} do not have length 1, expected all to have it`;
  return `${total - others} of ${total} have length 1, which cosine distance does not ask for`;
}
