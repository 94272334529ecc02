import type { Matrix, Projection } from './types.ts';

/** The same texts in both spaces, row by row. */
export interface Pairs {
  readonly source: Matrix;
  readonly target: Matrix;
}

export interface FitSettings {
  /** Decides folds, minibatches and first weights; the same seed and threads give the same map, bit by bit, on one machine. */
  readonly seed: number;
  /** The target's vectors are of unit length: the map's are too, and what is left out is scored by its cosine instead of its squared error. */
  readonly normalize: boolean;
  /** For products of matrices; one a core unless said. */
  readonly threads?: number | undefined;
  /** Pairs apart from the others on which the training of `residual-mlp` is stopped early; a tenth of the pairs unless said. */
  readonly validation?: Pairs | undefined;
}

export interface FitOptions extends FitSettings {
  readonly signal?: AbortSignal | undefined;
}

/** What was learned, and what was chosen on the way: `penalty`, `rank`, `hidden`, `epochs`, `scale`, `score`. */
export interface Fitted {
  readonly projection: Projection;
  readonly parameters: Readonly<Record<string, number>>;
}
