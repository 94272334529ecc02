import { nearestOthers, pairValues } from '../../vector/cosine-matrix.ts';
import { type Spread, spreadOf } from '../../vector/distribution.ts';
import type { EvaluationCheck } from '../types.ts';
import { shortNumber } from './short-number.ts';
import type { CheckedSide } from './types.ts';

/** Where a side's similarities lie: those of nearest neighbours within the sample, and those of any two rows. */
export function checkDistances({ search, cosines }: CheckedSide): EvaluationCheck {
  const nearest = spreadOf(nearestOthers(cosines));
  const random = spreadOf(pairValues(cosines));
  const apart = nearest.median > random.p95;
  const expected = apart ? '' : ': neighbours should stand out from 95% of random pairs';
  return {
    code: 'distances',
    level: apart ? 'info' : 'warn',
    message: `In the ${search.side} vectors a row’s nearest neighbour is at a cosine of ${described(nearest)}, a random row at ${described(random)}${expected}.`,
    values: { side: search.side, ...prefixed('nearest', nearest), ...prefixed('random', random) },
  };
}

function described({ p5, median, p95 }: Spread): string {
  return `${shortNumber(median)} (90% within ${shortNumber(p5)} to ${shortNumber(p95)})`;
}

function prefixed(name: string, { p5, median, p95 }: Spread): Record<string, number> {
  return { [`${name}P5`]: p5, [`${name}Median`]: median, [`${name}P95`]: p95 };
}
