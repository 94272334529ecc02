import type { NewEntry } from '../../../src/adapters/entry-schema.ts';
import type { Projection, ProjectionLayer, ProjectionMetrics, ProjectionSpace } from '../../../src/adapters/types.ts';
import { seededRandom } from '../../../src/vector/random.ts';

export function space(name: string, dimensions: number, more: Readonly<Record<string, unknown>> = {}): ProjectionSpace {
  return { fingerprint: { provider: 'local', name, dimensions, ...more }, reference: undefined, dimensions };
}

/** An affine map with random values; no bias and no unit length unless said. */
export function affine(
  input: number,
  output: number,
  more: Partial<ProjectionLayer> & { seed?: number } = {},
): ProjectionLayer {
  const { seed = 1, ...layer } = more;
  const random = seededRandom(seed);
  const values = (length: number): Float32Array => Float32Array.from({ length }, () => random() - 0.5);
  return {
    input,
    output,
    weight: values(input * output),
    bias: values(output),
    hidden: undefined,
    normalize: false,
    ...layer,
  };
}

export function measures(low: number): ProjectionMetrics {
  const kept = { real: 0.82, adapted: 0.77, old: 0.74, retention: low + 0.02, low, high: low + 0.04 };
  return {
    holdout: 500,
    mse: 0.0012,
    cosine: { mean: 0.86, p5: 0.78 },
    similarityPreservation: 0.91,
    neighbourConsistencyAt10: 0.63,
    queries: { source: 'title', count: 480 },
    recallAt10: kept,
    reciprocalRank: kept,
    scoreShrinkage: 0.93,
    thresholds: [{ real: 0.5, adapted: 0.44 }],
  };
}

export function newEntry(more: Partial<NewEntry> = {}): NewEntry {
  return {
    kind: 'ridge',
    direction: 'document',
    source: space('legacy', 6),
    target: space('all-MiniLM-L6-v2', 4, { provider: 'local', dtype: 'int8' }),
    samples: { training: 1000, validation: 100, holdout: 250 },
    parameters: { penalty: 0.25 },
    seed: 1,
    metrics: measures(0.91),
    range: { minNorm: 0.99, maxNorm: 1.01 },
    ...more,
  };
}

export const PROJECTION: Projection = { layers: [affine(6, 4, { normalize: true })] };
