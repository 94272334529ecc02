import { AdapterError } from '../errors.ts';
import { type Dense, inner, plus } from './dense.ts';
import type { Folds } from './fit-folds.ts';
import { affineLayer } from './fit-layers.ts';
import type { Fitted } from './fit-types.ts';
import { type Algebra, polarFactor } from './linear-algebra.ts';

/** Models leave a few of their directions unused (all-MiniLM-L6-v2 three of 384): those the rotation leaves out. */
const LEAST_SPAN = 0.9;

/**
 * The rotation, with one factor and a shift, that brings the source nearest to the target (Schönemann 1966; the factor after Schönemann and
 * Carroll 1970). Between different dimensions the larger space is projected on or the smaller laid into the larger, at right angles.
 * @throws AdapterError `rank_deficient`
 */
export async function fitProcrustes(algebra: Algebra, folds: Folds, normalize: boolean): Promise<Fitted> {
  const { parts, sourceMean, targetMean, samples } = folds;
  let cross: Dense | undefined;
  for (const { source, target } of parts) {
    const product = await algebra.multiply(source, target, 'first');
    cross = cross === undefined ? product : plus(cross, product);
  }
  const moments = cross ?? { rows: 0, columns: 0, data: new Float64Array() };
  const { factor, rank } = await polarFactor(algebra, moments);
  const least = Math.min(moments.rows, moments.columns);
  if (rank < LEAST_SPAN * least) throw undetermined(rank, least, samples);
  let size = 0;
  for (const { source } of parts) {
    const rotated = await algebra.multiply(source, factor);
    size += inner(rotated, rotated);
  }
  const scale = inner(factor, moments) / size;
  const weight = { ...factor, data: factor.data.map((value) => scale * value) };
  return {
    projection: { layers: [affineLayer(weight, sourceMean, targetMean, normalize)] },
    parameters: { scale },
  };
}

function undetermined(rank: number, least: number, samples: number): AdapterError {
  return new AdapterError(
    'rank_deficient',
    `The ${samples} pairs span ${rank} directions that both spaces share; a rotation (procrustes) needs nearly all ${least}.`,
    {
      step: 'adapter',
      hint: `Train with more than ${least} samples, or with --kind ridge, whose penalty stands in for what is missing.`,
      context: { observed: rank, expected: least, samples },
    },
  );
}
