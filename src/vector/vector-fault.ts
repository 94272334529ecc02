import { norm } from './math.ts';

const NORM_TOLERANCE = 0.01;

/** Why a vector must not be stored; undefined when it may. Zero vectors above all: cosine indexes leave them out without a word. */
export function vectorFault(
  vector: Float32Array,
  model: { readonly dimensions: number; readonly normalize: boolean },
): string | undefined {
  if (vector.length !== model.dimensions) return `${vector.length} dimensions instead of ${model.dimensions}`;
  // One pass tells all three: squares of float32 values neither overflow nor vanish in double precision.
  const length = norm(vector);
  if (!Number.isFinite(length)) return 'NaN or infinite values';
  if (length === 0) return 'all values are zero';
  if (model.normalize && Math.abs(length - 1) > NORM_TOLERANCE) return `norm ${length.toFixed(4)} instead of 1`;
  return undefined;
}
