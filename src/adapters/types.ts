import type { ModelReference } from '../config/types.ts';
import type { StoredFingerprint } from '../state/models.ts';

/** Vectors one below the other: `data` holds `rows` × `columns` values, row-major. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

/**
 * How a map is found. `identity` takes the vectors as they are, for models that claim one space; `ridge` and `low-rank` are linear with a bias,
 * `procrustes` is a rotation, `residual-mlp` a ridge with one hidden layer beside it.
 */
export type ProjectionKind = 'identity' | 'ridge' | 'procrustes' | 'low-rank' | 'residual-mlp';

/** `document` maps stored vectors of the old model to the new one's space; `query` maps vectors of the new model's queries to the old space. */
export type ProjectionDirection = 'document' | 'query';

/** `y = x·weight + bias + gelu(x·hidden.weight + hidden.bias)·hidden.output`, then to unit length where `normalize` says so. */
export interface ProjectionLayer {
  readonly input: number;
  readonly output: number;
  /** `input` × `output`; undefined takes x as it is. */
  readonly weight: Float32Array | undefined;
  /** `output`. */
  readonly bias: Float32Array | undefined;
  readonly hidden: HiddenLayer | undefined;
  readonly normalize: boolean;
}

/** Beside a linear map, from its input to its output through `size` units. */
export interface HiddenLayer {
  readonly size: number;
  /** `input` × `size`. */
  readonly weight: Float32Array;
  /** `size`. */
  readonly bias: Float32Array;
  /** `size` × `output`. */
  readonly output: Float32Array;
}

/** A map between two spaces: its layers one behind the other; several where it was composed. */
export interface Projection {
  readonly layers: readonly ProjectionLayer[];
}

/** One of the spaces between which a projection maps. */
export interface ProjectionSpace {
  /** Of the model, as far as it is known: of the application's old model often no more than provider, name and dimensions. */
  readonly fingerprint: StoredFingerprint;
  /** How the model is configured; undefined where nobody has said which model made the vectors. */
  readonly reference: ModelReference | undefined;
  readonly dimensions: number;
}

/** A measure on the adapted vectors beside the same on real ones. */
export interface Retention {
  readonly real: number;
  readonly adapted: number;
  /** The same with the old model in the old space, for queries that have an old vector; undefined without that model. */
  readonly old: number | undefined;
  /** adapted / real, and the ends of its 95% bootstrap interval over queries. */
  readonly retention: number;
  readonly low: number;
  readonly high: number;
}

/** What a projection does to vectors that it was not trained on. */
export interface ProjectionMetrics {
  /** Vectors that were held out. */
  readonly holdout: number;
  /** Mean squared difference of a value. */
  readonly mse: number;
  /** Between an adapted vector and the real one. */
  readonly cosine: { readonly mean: number; readonly p5: number };
  /** Pearson correlation of pairwise cosine similarities, adapted against real. */
  readonly similarityPreservation: number;
  /** Share of the ten nearest real neighbours of a vector that are among its ten nearest adapted ones. */
  readonly neighbourConsistencyAt10: number;
  readonly queries: { readonly source: string; readonly count: number };
  readonly recallAt10: Retention;
  readonly reciprocalRank: Retention;
  /** Mean similarity of a query's first ten hits, adapted / real; of direction `query` against the old model's own in the same space, where it was asked. */
  readonly scoreShrinkage: number;
  /** Similarity limits on what `scoreShrinkage` compares with, and those on adapted hits that let the same share pass. */
  readonly thresholds: readonly { readonly real: number; readonly adapted: number }[];
}

/** What the training vectors were like; a vector far from it is not of the space that was learned from. */
export interface InputRange {
  readonly minNorm: number;
  readonly maxNorm: number;
}

/** A projection as the registry has it. */
export interface ProjectionEntry {
  /** `[a-z0-9][a-z0-9._-]{0,79}`, unique in its registry. */
  readonly id: string;
  readonly kind: ProjectionKind | 'chain';
  readonly direction: ProjectionDirection;
  readonly source: ProjectionSpace;
  readonly target: ProjectionSpace;
  /** The ids that a chain was composed of. */
  readonly composedOf?: readonly string[] | undefined;
  readonly samples: { readonly training: number; readonly validation: number; readonly holdout: number };
  /** What the training chose: `penalty`, `rank`, `hidden`, `epochs`. */
  readonly parameters: Readonly<Record<string, number>>;
  readonly seed: number;
  /** Undefined only of a chain that could not be measured: it is never chosen by itself. */
  readonly metrics: ProjectionMetrics | undefined;
  readonly range: InputRange;
  /** In the registry's directory. */
  readonly file: string;
  readonly sha256: string;
  readonly createdAt: string;
}
