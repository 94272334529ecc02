import type { HeldOut } from './measure.ts';
import type { SearchedSide } from './measure-retrieval.ts';
import type { Matrix, ProjectionDirection } from './types.ts';

/** Row by row the same texts in two spaces: what a projection is to be given, and what it should make of it. */
export interface TrainingPairs {
  readonly source: Matrix;
  readonly target: Matrix;
}

/** Texts that take no part in the training, with all their vectors and with queries that they answer. */
export interface KeptApart {
  readonly pairs: TrainingPairs;
  readonly documents: { readonly old: Matrix; readonly fresh: Matrix };
  readonly queries: {
    readonly source: string;
    /** Rows of the documents, at least one a query. */
    readonly answers: readonly (readonly number[])[];
    readonly fresh: Matrix;
    /** Undefined where the old model cannot be asked. */
    readonly old: Matrix | undefined;
  };
}

/** All that a projection is learned from and measured on; the parts have no text in common. */
export interface TrainingData {
  readonly direction: ProjectionDirection;
  readonly training: TrainingPairs;
  /** To choose by and to stop by; undefined where nothing is to be chosen. */
  readonly validation: KeptApart | undefined;
  readonly holdout: KeptApart;
}

/** What of a part is compared: stored vectors that were mapped, or queries that were, beside what each model finds alone. */
export async function heldOutBy(
  direction: ProjectionDirection,
  { pairs, documents, queries }: KeptApart,
  map: (vectors: Matrix) => Promise<Matrix>,
  seed: number,
): Promise<HeldOut> {
  const mapped = await map(pairs.source);
  const adapted: SearchedSide =
    direction === 'document'
      ? { queries: queries.fresh, documents: mapped }
      : { queries: await map(queries.fresh), documents: documents.old };
  return {
    pairs: { adapted: mapped, real: pairs.target },
    queries: {
      source: queries.source,
      answers: queries.answers,
      real: { queries: queries.fresh, documents: documents.fresh },
      adapted,
      old: queries.old && { queries: queries.old, documents: documents.old },
      scale: direction === 'document' ? 'real' : 'old',
    },
    seed,
  };
}
