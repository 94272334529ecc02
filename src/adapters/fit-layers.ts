import { type Dense, rowTimes } from './dense.ts';
import type { ProjectionLayer } from './types.ts';

/** The layer `y = targetMean + (x − sourceMean)·weight`. */
export function affineLayer(
  weight: Dense,
  sourceMean: Float64Array,
  targetMean: Float64Array,
  normalize: boolean,
): ProjectionLayer {
  const moved = rowTimes(sourceMean, weight);
  return {
    input: weight.rows,
    output: weight.columns,
    weight: Float32Array.from(weight.data),
    bias: Float32Array.from(targetMean, (value, j) => value - (moved[j] ?? 0)),
    hidden: undefined,
    normalize,
  };
}
