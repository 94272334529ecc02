import { columnSums, type Dense, plus, plusDiagonal, plusOuter, plusRow, rowTimes, trace, zeros } from './dense.ts';
import type { Folds } from './fit-folds.ts';
import { type Algebra, solveSymmetric } from './linear-algebra.ts';
import type { RidgeSolution, RidgeSystem } from './ridge-systems.ts';

interface Moments {
  readonly samples: number;
  readonly sourceSum: Float64Array;
  readonly targetSum: Float64Array;
  /** `XᵀX`. */
  readonly gram: Dense;
  /** `XᵀY`. */
  readonly cross: Dense;
}

/** By the moments of the source's dimensions, for more samples than dimensions: what a part adds to them is taken off where it is left out. */
export async function primalSystems(algebra: Algebra, { parts }: Folds): Promise<(left?: number) => RidgeSystem> {
  const moments: Moments[] = [];
  for (const { source, target } of parts) {
    moments.push({
      samples: source.rows,
      sourceSum: columnSums(source),
      targetSum: columnSums(target),
      gram: await algebra.multiply(source, source, 'first'),
      cross: await algebra.multiply(source, target, 'first'),
    });
  }
  const all = moments.reduce((sum, part) => add(sum, part, 1));
  return (left) => {
    const part = left === undefined ? undefined : moments[left];
    const held = left === undefined ? undefined : parts[left]?.source;
    return systemOf(algebra, part === undefined ? all : add(all, part, -1), held);
  };
}

function add(a: Moments, b: Moments, factor: number): Moments {
  const sum = (first: Float64Array, second: Float64Array): Float64Array =>
    first.map((value, i) => value + factor * (second[i] ?? 0));
  return {
    samples: a.samples + factor * b.samples,
    sourceSum: sum(a.sourceSum, b.sourceSum),
    targetSum: sum(a.targetSum, b.targetSum),
    gram: plus(a.gram, b.gram, factor),
    cross: plus(a.cross, b.cross, factor),
  };
}

function systemOf(algebra: Algebra, moments: Moments, held: Dense | undefined): RidgeSystem {
  const { samples } = moments;
  const sourceMean = moments.sourceSum.map((sum) => sum / samples);
  const targetMean = moments.targetSum.map((sum) => sum / samples);
  const gram = plusOuter(moments.gram, sourceMean, sourceMean, -samples);
  const cross = plusOuter(moments.cross, sourceMean, targetMean, -samples);
  const scale = trace(gram) / gram.rows;
  return {
    scale,
    async solve(penalty): Promise<RidgeSolution> {
      const weight = await solveSymmetric(algebra, plusDiagonal(gram, penalty * scale), cross);
      return {
        targetMean,
        weight: async () => weight,
        explained: () => algebra.multiply(cross, weight, 'first'),
        async predict() {
          const moved = rowTimes(sourceMean, weight);
          const predicted = await algebra.multiply(held ?? zeros(0, gram.rows), weight);
          const shift = targetMean.map((value, j) => value - (moved[j] ?? 0));
          return plusRow(predicted, shift);
        },
      };
    },
  };
}
