import { type Dense, gaussian } from '../../../src/adapters/dense.ts';
import type { Pairs } from '../../../src/adapters/fit-types.ts';
import { type Algebra, openAlgebra } from '../../../src/adapters/linear-algebra.ts';
import type { Matrix } from '../../../src/adapters/types.ts';
import { createNativeSection } from '../../../src/models/native-section.ts';

export const algebra: Algebra = openAlgebra(1, createNativeSection());

export function single({ rows, columns, data }: Dense): Matrix {
  return { rows, columns, data: Float32Array.from(data) };
}

/** `y = x·A/√input + noise·e − 0.25` with x about 0.5, everything normal; the same numbers as numpy's side of the expectations was made from. */
export function linearPairs(rows: number, input: number, output: number, noise: number, seed: number): Pairs {
  const source = gaussian(rows, input, seed);
  const map = gaussian(input, output, seed + 1);
  const noises = gaussian(rows, output, seed + 2);
  const x = source.data.map((value) => value + 0.5);
  const data = noises.data.map((value, at) => {
    let sum = 0;
    for (let k = 0; k < input; k++) {
      sum += (x[Math.floor(at / output) * input + k] ?? 0) * (map.data[k * output + (at % output)] ?? 0);
    }
    return sum / Math.sqrt(input) + noise * value - 0.25;
  });
  return { source: single({ ...source, data: x }), target: single({ ...noises, data }) };
}

/** `x·W + b` of a layer without hidden units, as plain arithmetic. */
export function mapRow(row: ArrayLike<number>, weight: Float32Array, bias: Float32Array): number[] {
  return Array.from(bias, (shift, j) => {
    let sum = shift;
    for (let i = 0; i < row.length; i++) sum += (row[i] ?? 0) * (weight[i * bias.length + j] ?? 0);
    return sum;
  });
}
