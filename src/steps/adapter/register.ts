import { openRegistry } from '../../adapters/registry.ts';
import type { TrainedProjection } from '../../adapters/train.ts';
import type { ProjectionDirection, ProjectionEntry, ProjectionMetrics, ProjectionSpace } from '../../adapters/types.ts';
import { AdapterError } from '../../errors.ts';

/** Below it, neighbours change so much that a search is another one. */
export const LEAST_PRESERVATION = 0.8;
/** What production should have. */
export const GOOD_PRESERVATION = 0.85;

export interface Registration {
  readonly dir: string;
  readonly direction: ProjectionDirection;
  readonly old: ProjectionSpace;
  readonly fresh: ProjectionSpace;
  readonly seed: number;
  readonly minRetention: number | undefined;
}

/**
 * Puts what was trained into the registry.
 *
 * @throws AdapterError `retention_too_low` with what was measured; nothing is registered then
 */
export async function registerTrained(
  { kind, projection, parameters, samples, metrics, range }: TrainedProjection,
  { dir, direction, old, fresh, seed, minRetention }: Registration,
): Promise<ProjectionEntry> {
  if (minRetention !== undefined && !(metrics.recallAt10.retention >= minRetention)) {
    throw tooLow(metrics, minRetention, kind);
  }
  const [source, target] = direction === 'document' ? [old, fresh] : [fresh, old];
  return openRegistry(dir).add(
    { kind, direction, source, target, samples, parameters, seed, metrics, range },
    projection,
  );
}

/** What a person should know before they rely on it. */
export function warningsOf({ similarityPreservation, queries }: ProjectionMetrics): string[] {
  const kept = `${(100 * similarityPreservation).toFixed(0)}%`;
  return [
    ...(similarityPreservation < LEAST_PRESERVATION
      ? [
          `Similarity preservation is ${kept}, under ${100 * LEAST_PRESERVATION}% (${100 * GOOD_PRESERVATION}% is the aim for production): try more samples (--samples), another kind (--kind), or embed the texts themselves ("reembed backfill").`,
        ]
      : []),
    ...(queries.count < FEW_QUERIES
      ? [`Recall and MRR rest on ${queries.count} queries only: name more with --queries, or hold out more rows.`]
      : []),
  ];
}

const FEW_QUERIES = 50;

function tooLow({ recallAt10 }: ProjectionMetrics, least: number, kind: string): AdapterError {
  const { retention, low, high, adapted, real } = recallAt10;
  const found = `${retention.toFixed(3)} (95% interval ${low.toFixed(3)} to ${high.toFixed(3)})`;
  return new AdapterError(
    'retention_too_low',
    `The projection (${kind}) keeps ${found} of the Recall@10 of real vectors, ${adapted.toFixed(3)} of ${real.toFixed(3)}; at least ${least} was asked for. It was not registered.`,
    {
      step: 'adapter',
      hint: 'Try more samples (--samples), another kind (--kind), or embed the texts themselves with "reembed backfill".',
      context: { retention, low, high, adapted, real, least, kind },
    },
  );
}
