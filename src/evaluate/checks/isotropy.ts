import { isotropyOf } from '../../vector/cosine-matrix.ts';
import type { EvaluationCheck } from '../types.ts';
import { shortNumber } from './short-number.ts';
import type { CheckedSide } from './types.ts';

/** Some good models keep all texts within 0.6 to 0.8 of each other (a low temperature in training); beyond this little tells texts apart. */
const CROWDED = 0.9;
const COLLAPSED = 0.99;

/** How evenly a side's vectors fill their space: a model that makes nearly the same of every text finds nothing. */
export function checkIsotropy({ search, vectors, cosines }: CheckedSide): EvaluationCheck {
  const { meanCosine, meanLength, usedDimensions } = isotropyOf(cosines);
  const dimensions = vectors[0]?.length ?? 0;
  const level = meanCosine > COLLAPSED ? 'fail' : meanCosine > CROWDED ? 'warn' : 'info';
  const spread = `Two random texts have a mean cosine of ${shortNumber(meanCosine)} in the ${search.side} vectors`;
  const expected = level === 'info' ? '' : `, expected below ${CROWDED}`;
  const filled = `they use about ${Math.round(usedDimensions)} of ${dimensions} dimensions`;
  return {
    code: 'isotropy',
    level: search.side === 'old' && level === 'fail' ? 'warn' : level,
    message: `${spread}${expected} (0 is even, 1 all alike); their mean has length ${shortNumber(meanLength)}, and ${filled}.`,
    values: { side: search.side, meanCosine, meanLength, usedDimensions, dimensions },
  };
}
