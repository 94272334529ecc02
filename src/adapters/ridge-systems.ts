import type { Dense } from './dense.ts';

/** The normal equations of a ridge regression, with one part of the samples left out or none. Everything is about the means of all samples. */
export interface RidgeSystem {
  /** The sum of squares of a source value, mean over the dimensions: penalties are multiples of it, so that one grid suits every model. */
  readonly scale: number;
  solve(penalty: number): Promise<RidgeSolution>;
}

export interface RidgeSolution {
  /** What it makes of the part that was left out; `[rows, output]`. */
  predict(): Promise<Dense>;
  /** The moments of what it explains, `[output, output]`: their eigenvectors are the directions that it gets right, best first. */
  explained(): Promise<Dense>;
  /** `[input, output]`. */
  weight(): Promise<Dense>;
  /** The mean of the targets that were trained on. */
  readonly targetMean: Float64Array;
}
