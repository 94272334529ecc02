import type { ModelReference } from '../../config/types.ts';
import type { QuerySource } from '../../evaluate/load-queries.ts';

/** A text, and what is known of its vectors before anything is embedded. */
export interface SampledText {
  /** `keyId` of the row; undefined of a text that is in no table. */
  readonly id: string | undefined;
  readonly text: string;
  /** Undefined where the old model makes it. */
  readonly old: Float32Array | undefined;
  /** The new model's, where the table has it already. */
  readonly fresh: Float32Array | undefined;
  /** What somebody might ask to find the text; undefined where nobody said. */
  readonly item: string | undefined;
}

/** A query with the texts that answer it, by their places in the sample. */
export interface AskedQuery {
  readonly query: string;
  readonly answers: readonly number[];
}

/** The texts that a projection is learned from and measured on, each once. */
export interface Sample {
  readonly texts: readonly SampledText[];
  /** Queries with known answers among the texts; undefined where every text is asked for by its item, or by itself. */
  readonly asked: readonly AskedQuery[] | undefined;
  /** Of the queries, as a report names them. */
  readonly source: string;
}

/** How many texts are wanted. */
export interface SampleSize {
  /** To learn from. */
  readonly samples: number;
  /** On top, to be measured on. */
  readonly holdout: number;
  readonly seed: number;
}

/** Which rows are drawn, and how they are asked for. */
export interface SampleOptions extends SampleSize {
  readonly queries: QuerySource | undefined;
}

/** The two models of a projection, in the order in which the vectors move. */
export interface ModelPair {
  readonly old: ModelReference | undefined;
  readonly fresh: ModelReference;
}
