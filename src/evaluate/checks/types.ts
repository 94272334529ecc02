import type { SideProviders } from '../../search/search.ts';
import type { SearchSide } from '../../search/search-side.ts';
import type { CosineMatrix } from '../../vector/cosine-matrix.ts';
import type { SimilaritiesByQuery } from '../../vector/match-threshold.ts';

export interface CheckOptions {
  readonly providers: SideProviders;
  /** Chooses the rows, and what is drawn again for intervals. */
  readonly seed: number;
  /** Rows that are looked at, at most (500). */
  readonly sample?: number | undefined;
  /** A JSONL file of `{ a, b, similar? }`: pairs of texts, similar ones unless `similar` is false. */
  readonly pairs?: string | undefined;
  /** The cosine that similar pairs must reach, of either model; measured for each model when undefined. */
  readonly pairLimit?: number | undefined;
  /** Cosine similarities that application code compares with; 0.7, 0.8 and 0.9 are shown when there are none. */
  readonly thresholds?: readonly number[] | undefined;
  /** Cosine similarities of the hits of the same queries on both sides, where they are known: better to move a threshold by than sampled rows. */
  readonly hits?: { readonly old: SimilaritiesByQuery; readonly new: SimilaritiesByQuery } | undefined;
}

/** One side with the sampled rows' vectors, those of all sides in one order. */
export interface CheckedSide {
  readonly search: SearchSide;
  /** As stored. */
  readonly vectors: readonly Float32Array[];
  readonly cosines: CosineMatrix;
}

/** What the sample came to: nothing is said about distances in one of less than `MIN_ROWS`. */
export interface CheckedSample {
  /** The old side first; only those that are there. */
  readonly sides: readonly CheckedSide[];
  readonly texts: readonly string[];
}

export const MIN_ROWS = 20;
