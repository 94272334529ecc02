import { dot, norm } from './math.ts';

/** The cosines of every vector with every other, row after row: `values[i * count + j]`; symmetric, 1 on the diagonal. */
export interface CosineMatrix {
  readonly count: number;
  readonly values: Float32Array;
}

/** The vector at length 1. A zero vector stays: its cosine with anything counts as 0. */
export function toUnit(vector: Float32Array): Float32Array {
  const length = norm(vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}

/** An empty matrix for `fillRow`. */
export function cosineMatrix(count: number): CosineMatrix {
  return { count, values: new Float32Array(count * count) };
}

/** Computes row i from i on, and its mirror: a row at a time, so that the caller can let others have a turn between. */
export function fillRow({ count, values }: CosineMatrix, units: readonly Float32Array[], i: number): void {
  const unit = units[i] ?? new Float32Array(0);
  values[i * count + i] = 1;
  for (let j = i + 1; j < count; j++) {
    const value = dot(unit, units[j] ?? unit);
    values[i * count + j] = value;
    values[j * count + i] = value;
  }
}

/** Each pair once. */
export function pairValues({ count, values }: CosineMatrix): Float32Array {
  const pairs = new Float32Array((count * (count - 1)) / 2);
  let at = 0;
  for (let i = 0; i < count; i++) {
    pairs.set(values.subarray(i * count + i + 1, (i + 1) * count), at);
    at += count - i - 1;
  }
  return pairs;
}

/** The cosines of vector i with all others. */
export function othersOf({ count, values }: CosineMatrix, i: number): Float32Array {
  const others = new Float32Array(count - 1);
  others.set(values.subarray(i * count, i * count + i));
  others.set(values.subarray(i * count + i + 1, (i + 1) * count), i);
  return others;
}

/** The cosine of each vector with its nearest other one; nothing of fewer than two. */
export function nearestOthers(matrix: CosineMatrix): Float32Array {
  if (matrix.count < 2) return new Float32Array(0);
  return Float32Array.from({ length: matrix.count }, (_, i) => othersOf(matrix, i).reduce((a, b) => Math.max(a, b)));
}

/** How evenly vectors fill their space. */
export interface Isotropy {
  /** Mean cosine of pairs: 0 of vectors that point everywhere. Ethayarajh: How Contextual are Contextualized Word Representations?, EMNLP 2019. */
  readonly meanCosine: number;
  /** Length of the mean of the unit vectors, 0 to 1: the mean resultant length of directional statistics (Mardia and Jupp 2000, section 9.2). */
  readonly meanLength: number;
  /**
   * Dimensions that the vectors really use: the participation ratio (Σλ)² / Σλ² of the eigenvalues of their covariance (Gao et al.: A theory of
   * multineuronal dimensionality, dynamics and measurement, 2017). At most one less than there are vectors.
   */
  readonly usedDimensions: number;
}

/** From the cosines alone: the covariance has the same eigenvalues as the doubly centred matrix of inner products. NaN of fewer than two vectors. */
export function isotropyOf({ count, values }: CosineMatrix): Isotropy {
  const rowMeans = Float64Array.from({ length: count }, (_, i) => meanOfRow(values, i, count));
  let total = 0;
  for (const mean of rowMeans) total += mean / count;
  let trace = 0;
  let squares = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      const centred = (values[i * count + j] ?? 0) - (rowMeans[i] ?? 0) - (rowMeans[j] ?? 0) + total;
      squares += centred * centred;
      if (i === j) trace += centred;
    }
  }
  return {
    meanCosine: (total * count - 1) / (count - 1),
    meanLength: Math.sqrt(Math.max(0, total)),
    usedDimensions: trace ** 2 / squares,
  };
}

function meanOfRow(values: Float32Array, i: number, count: number): number {
  let sum = 0;
  for (let j = 0; j < count; j++) sum += values[i * count + j] ?? 0;
  return sum / count;
}
