import { AdapterError } from '../errors.ts';
import type { NewEntry } from './entry-schema.ts';
import type { LoadedProjection } from './registry.ts';
import { compareSpaces } from './same-space.ts';
import type { Projection, ProjectionEntry, ProjectionMetrics } from './types.ts';

/** A chain that can be registered. */
export interface ComposedProjection {
  readonly entry: NewEntry;
  readonly projection: Projection;
}

/** Measures a chain on vectors of its own source and target; undefined where there are none to measure on. */
export type MeasureChain = (chain: ComposedProjection) => Promise<ProjectionMetrics | undefined>;

/**
 * A → B and B → C as one projection: the layers one behind the other, which is exact. What it loses is measured or stays unknown; it does not follow
 * from what its parts lose.
 *
 * @throws AdapterError `spaces_differ`, `directions_differ`
 */
export async function composeProjections(
  first: LoadedProjection,
  second: LoadedProjection,
  measure?: MeasureChain,
): Promise<ComposedProjection> {
  assertFit(first.entry, second.entry);
  const composed: ComposedProjection = {
    entry: chainEntry(first.entry, second.entry),
    projection: { layers: [...first.projection.layers, ...second.projection.layers] },
  };
  const metrics = await measure?.(composed);
  if (metrics === undefined) return composed;
  const samples = { ...composed.entry.samples, holdout: metrics.holdout };
  return { ...composed, entry: { ...composed.entry, metrics, samples } };
}

function chainEntry(first: ProjectionEntry, second: ProjectionEntry): NewEntry {
  return {
    kind: 'chain',
    direction: first.direction,
    source: first.source,
    target: second.target,
    composedOf: [...partsOf(first), ...partsOf(second)],
    samples: { training: Math.min(first.samples.training, second.samples.training), validation: 0, holdout: 0 },
    parameters: {},
    seed: first.seed,
    metrics: undefined,
    range: first.range,
  };
}

/** Down to what was trained: a part may be a chain itself. */
function partsOf({ id, composedOf }: ProjectionEntry): readonly string[] {
  return composedOf ?? [id];
}

function assertFit(first: ProjectionEntry, second: ProjectionEntry): void {
  const context = { first: first.id, second: second.id };
  if (first.direction !== second.direction) {
    throw new AdapterError(
      'directions_differ',
      `${first.id} maps in the direction ${first.direction}, ${second.id} in the direction ${second.direction}.`,
      {
        step: 'adapter',
        hint: 'Compose two projections of one direction; "reembed adapter list" shows them.',
        context,
      },
    );
  }
  const { fit, difference } = compareSpaces(first.target, second.source);
  if (fit === 'same') return;
  const reason = difference ?? 'nothing says which model one of them is';
  throw new AdapterError(
    'spaces_differ',
    `${first.id} maps to another space than the one ${second.id} maps from: ${reason}.`,
    {
      step: 'adapter',
      hint: 'Name them in the order in which they lead from one model to the other: A→B first, then B→C.',
      context: { ...context, target: first.target.fingerprint, source: second.source.fingerprint },
    },
  );
}
