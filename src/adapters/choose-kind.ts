import { PROJECTION_KINDS } from './kinds.ts';
import type { ProjectionKind, ProjectionMetrics } from './types.ts';

/** A kind that was tried, measured on vectors that it was not trained on. */
export interface MeasuredKind {
  readonly kind: ProjectionKind;
  readonly metrics: Pick<ProjectionMetrics, 'recallAt10' | 'reciprocalRank'>;
}

/**
 * The kind that finds most: by Recall@10, where that is equal by MRR, and where both are the simplest. Not by the error, which a kind may lower
 * without a search finding more. Undefined of none.
 */
export function chooseKind<T extends MeasuredKind>(tried: readonly T[]): T | undefined {
  const simplicity = ({ kind }: T): number => PROJECTION_KINDS.indexOf(kind);
  const sorted = [...tried].sort(
    (a, b) =>
      b.metrics.recallAt10.adapted - a.metrics.recallAt10.adapted ||
      b.metrics.reciprocalRank.adapted - a.metrics.reciprocalRank.adapted ||
      simplicity(a) - simplicity(b),
  );
  return sorted[0];
}
