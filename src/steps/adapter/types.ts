import type { TrainedProjection, TriedKind } from '../../adapters/train.ts';
import type { ProjectionDirection, ProjectionEntry, ProjectionKind } from '../../adapters/types.ts';
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
  /** Queries with known answers among the texts; undefined where every text is asked for by its item. */
  readonly asked: readonly AskedQuery[] | undefined;
  /** Of the queries, as a report names them. */
  readonly source: string;
}

/** What is said about a training, from a table or from texts. */
export interface TrainChoices {
  readonly kind?: 'auto' | ProjectionKind | undefined;
  readonly direction?: ProjectionDirection | undefined;
  /** Pairs to learn from (1,000). */
  readonly samples?: number | undefined;
  /** Pairs to measure on, on top of these (a quarter of them, 200 to 500). */
  readonly holdout?: number | undefined;
  /** Draws the sample, cuts it, and begins the training (1). */
  readonly seed?: number | undefined;
  /** Recall@10 of what real vectors reach, below which nothing is registered. */
  readonly minRetention?: number | undefined;
  /** The registry's directory; `REEMBED_PROJECTIONS_DIR` unless said. */
  readonly dir?: string | undefined;
}

export interface TrainAdapterOptions extends TrainChoices {
  /** Whose the old vectors are, and how it is asked; `from` of the definition unless said. */
  readonly source?: ModelReference | undefined;
  /** The new model; the definition's unless said. */
  readonly target?: ModelReference | undefined;
  /** What `REEMBED_QUERIES` or `REEMBED_KNOWN_ITEM` names unless given; else every row is asked for by its own text. */
  readonly queries?: QuerySource | undefined;
}

/** A projection that is in the registry now, and how it came about. */
export interface TrainedAdapter {
  readonly entry: ProjectionEntry;
  readonly dir: string;
  /** What was compared to choose the kind, on the validation part; empty where it was given. */
  readonly tried: readonly TriedKind[];
  /** Pairs on which the kinds were compared; 0 where nothing was. */
  readonly chosenOn: number;
  readonly leftOut: TrainedProjection['leftOut'];
  /** What should be looked at before it is used. */
  readonly warnings: readonly string[];
  /** From the first row read to the registered projection. */
  readonly seconds: number;
}
