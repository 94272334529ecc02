import { describe, expect, it } from 'vitest';
import {
  cosineMatrix,
  fillRow,
  isotropyOf,
  nearestOthers,
  othersOf,
  pairValues,
  toUnit,
} from '../../../src/vector/cosine-matrix.ts';
import { spreadOf } from '../../../src/vector/distribution.ts';

function matrixOf(vectors: readonly Float32Array[]) {
  const units = vectors.map(toUnit);
  const matrix = cosineMatrix(units.length);
  for (const i of units.keys()) fillRow(matrix, units, i);
  return matrix;
}

const made = (count: number, dimensions: number, value: (i: number, j: number) => number) =>
  Array.from({ length: count }, (_, i) => Float32Array.from({ length: dimensions }, (_, j) => value(i, j)));

// numpy 1.26.4 of X[i, j] = sin(3 i + 7 j) + 0.6 (12 × 6) in double precision, rows normalised: mean of the upper triangle of U Uᵀ,
// numpy.linalg.norm(U.mean(0)), sum(λ)² / sum(λ²) of eigvalsh(cov(Uᵀ)), and the row-wise maxima beside the diagonal.
const sines = matrixOf(made(12, 6, (i, j) => Math.sin(3 * i + 7 * j) + 0.6));

describe('isotropyOf', () => {
  it('is what numpy gives', () => {
    const { meanCosine, meanLength, usedDimensions } = isotropyOf(sines);
    expect(meanCosine).toBeCloseTo(0.38198770669851967, 5);
    expect(meanLength).toBeCloseTo(0.6583986111318202, 5);
    expect(usedDimensions).toBeCloseTo(1.5911518037007526, 4);
  });

  it('tells axes, which spread evenly, from copies of one direction', () => {
    const axes = isotropyOf(matrixOf(made(5, 5, (i, j) => (i === j ? 3 : 0))));
    expect(axes.meanCosine).toBeCloseTo(0, 6);
    expect(axes.usedDimensions).toBeCloseTo(4, 6);
    const copies = isotropyOf(matrixOf(made(5, 5, (i) => i + 1)));
    expect(copies.meanCosine).toBeCloseTo(1, 5);
    expect(copies.meanLength).toBeCloseTo(1, 5);
  });
});

describe('the matrix', () => {
  it('gives each pair once, all others of a vector, and the nearest of them', () => {
    expect(pairValues(sines)).toHaveLength(66);
    expect(othersOf(sines, 3)).toHaveLength(11);
    expect(Math.max(...othersOf(sines, 3))).toBe(nearestOthers(sines)[3]);
    const { median } = spreadOf(nearestOthers(sines));
    expect(median).toBeCloseTo(0.9808291695632918, 5);
  });

  it('holds 0 for a zero vector, which has no direction', () => {
    expect(othersOf(matrixOf(made(3, 2, (i) => i)), 0)).toEqual(Float32Array.of(0, 0));
  });
});
