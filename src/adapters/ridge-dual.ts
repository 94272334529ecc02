import { at, columnMeans, type Dense, plusDiagonal, plusRow, putBlock, takeRows, trace, zeros } from './dense.ts';
import type { Folds } from './fit-folds.ts';
import { type Algebra, solveSymmetric } from './linear-algebra.ts';
import type { RidgeSolution, RidgeSystem } from './ridge-systems.ts';

/** By the products of the samples with each other, for fewer samples than dimensions (Saunders, Gammerman and Vovk 1998). */
export async function dualSystems(algebra: Algebra, { parts }: Folds): Promise<(left?: number) => RidgeSystem> {
  const source = stack(parts.map((part) => part.source));
  const target = stack(parts.map((part) => part.target));
  const kernel = await algebra.multiply(source, source, 'second');
  const starts = parts.map((_, k) => parts.slice(0, k).reduce((sum, part) => sum + part.source.rows, 0));
  return (left) => {
    const start = left === undefined ? source.rows : (starts[left] ?? 0);
    const end = left === undefined ? source.rows : start + (parts[left]?.source.rows ?? 0);
    const all = Array.from({ length: source.rows }, (_, i) => i);
    const kept = all.filter((i) => i < start || i >= end);
    return systemOf(algebra, { source, target, kernel, kept, held: all.slice(start, end) });
  };
}

interface DualSamples {
  readonly source: Dense;
  readonly target: Dense;
  readonly kernel: Dense;
  readonly kept: readonly number[];
  readonly held: readonly number[];
}

function systemOf(algebra: Algebra, { source, target, kernel, kept, held }: DualSamples): RidgeSystem {
  const targetMean = columnMeans(takeRows(target, kept, []));
  const answers = takeRows(target, kept, targetMean);
  const raw = pick(kernel, kept, kept);
  const means = columnMeans(raw);
  const mean = means.reduce((sum, value) => sum + value, 0) / means.length;
  const centred = centre(raw, means, mean);
  const scale = trace(centred) / source.columns;
  return {
    scale,
    async solve(penalty): Promise<RidgeSolution> {
      const dual = await solveSymmetric(algebra, plusDiagonal(centred, penalty * scale), answers);
      return {
        targetMean,
        // The columns of the dual weights sum to nothing: the source's mean drops out.
        weight: () => algebra.multiply(takeRows(source, kept, []), dual, 'first'),
        explained: async () => algebra.multiply(answers, await algebra.multiply(centred, dual), 'first'),
        async predict() {
          const predicted = await algebra.multiply(centre(pick(kernel, held, kept), means, mean), dual);
          return plusRow(predicted, targetMean);
        },
      };
    },
  };
}

/** Products about the mean of the samples that stand in the columns; `means` and `mean` are those of these samples among each other. */
function centre(products: Dense, means: Float64Array, mean: number): Dense {
  const result = zeros(products.rows, products.columns);
  for (let i = 0; i < products.rows; i++) {
    let row = 0;
    for (let j = 0; j < products.columns; j++) row += at(products, i, j);
    row /= products.columns;
    for (let j = 0; j < products.columns; j++) {
      result.data[i * products.columns + j] = at(products, i, j) - row - (means[j] ?? 0) + mean;
    }
  }
  return result;
}

function pick(a: Dense, rows: readonly number[], columns: readonly number[]): Dense {
  const result = zeros(rows.length, columns.length);
  for (const [i, row] of rows.entries()) {
    for (const [j, column] of columns.entries()) result.data[i * columns.length + j] = at(a, row, column);
  }
  return result;
}

function stack(parts: readonly Dense[]): Dense {
  const result = zeros(
    parts.reduce((sum, part) => sum + part.rows, 0),
    parts[0]?.columns ?? 0,
  );
  let top = 0;
  for (const part of parts) {
    putBlock(result, top, 0, part);
    top += part.rows;
  }
  return result;
}
