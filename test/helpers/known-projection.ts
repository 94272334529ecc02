import type { NewEntry } from '../../src/adapters/entry-schema.ts';
import type {
  Projection,
  ProjectionDirection,
  ProjectionEntry,
  ProjectionMetrics,
  ProjectionSpace,
} from '../../src/adapters/types.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { VectorAdapter } from '../../src/search/adapted-encoder.ts';
import { seededRandom } from '../../src/vector/random.ts';

/**
 * Two spaces of which each vector of one is known in the other: `hash/<dimensions>`, and the same turned into `wide` dimensions by a matrix of
 * orthonormal rows. A projection between them is exact by construction, in both directions.
 */
export interface KnownSpaces {
  readonly dimensions: number;
  readonly wide: number;
  /** `dimensions` × `wide`, rows orthonormal. */
  readonly matrix: Float32Array;
}

export function knownSpaces(dimensions: number, wide: number, seed = 7): KnownSpaces {
  const random = seededRandom(seed);
  const rows: number[][] = [];
  while (rows.length < dimensions) {
    const row = Array.from({ length: wide }, () => random() * 2 - 1);
    for (const other of rows) {
      const along = row.reduce((sum, value, i) => sum + value * (other[i] ?? 0), 0);
      for (const [i, value] of other.entries()) row[i] = (row[i] ?? 0) - along * value;
    }
    const length = Math.hypot(...row);
    rows.push(row.map((value) => value / length));
  }
  return { dimensions, wide, matrix: Float32Array.from(rows.flat()) };
}

/** A vector of `hash/<dimensions>` in the wide space. */
export function widen({ wide, matrix }: KnownSpaces, vector: ArrayLike<number>): Float32Array {
  const out = new Float32Array(wide);
  for (let i = 0; i < vector.length; i++) {
    for (let j = 0; j < wide; j++) out[j] = (out[j] ?? 0) + (vector[i] ?? 0) * (matrix[i * wide + j] ?? 0);
  }
  return out;
}

/** `document`: from the wide space to `hash/<dimensions>`; `query`: the other way. */
export function knownProjection({ dimensions, wide, matrix }: KnownSpaces, direction: ProjectionDirection): Projection {
  const forth = direction === 'document';
  const weight = forth ? transposed(matrix, dimensions, wide) : matrix;
  const [input, output] = forth ? [wide, dimensions] : [dimensions, wide];
  return { layers: [{ input, output, weight, bias: undefined, hidden: undefined, normalize: true }] };
}

/** What a registry adds, with metrics of `similarity`, as a training might have found them. */
export function knownEntry(
  spaces: KnownSpaces,
  direction: ProjectionDirection,
  { similarity = 1, ...over }: Partial<NewEntry> & { readonly similarity?: number } = {},
): NewEntry {
  const { dimensions, wide } = spaces;
  const hashed: ProjectionSpace = {
    fingerprint: { ...hashProvider(`hash/${dimensions}`).model },
    reference: { provider: 'hash', model: `hash/${dimensions}`, dimensions },
    dimensions,
  };
  const old: ProjectionSpace = {
    fingerprint: { provider: 'file', name: 'wide.json', dimensions: wide },
    reference: { provider: 'file', model: 'wide.json', dimensions: wide },
    dimensions: wide,
  };
  const [source, target] = direction === 'document' ? [old, hashed] : [hashed, old];
  return {
    kind: 'procrustes',
    direction,
    source,
    target,
    samples: { training: 400, validation: 100, holdout: 200 },
    parameters: {},
    seed: 1,
    metrics: metricsOf(similarity),
    range: { minNorm: 0.9, maxNorm: 1.1 },
    ...over,
  };
}

function metricsOf(share: number): ProjectionMetrics {
  const kept = { real: 0.9, adapted: 0.9 * share, old: 0.88, retention: share, low: share - 0.02, high: share };
  return {
    holdout: 200,
    mse: 0.001,
    cosine: { mean: share, p5: share - 0.05 },
    similarityPreservation: share,
    neighbourConsistencyAt10: share,
    queries: { source: 'known items of text', count: 200 },
    recallAt10: kept,
    reciprocalRank: kept,
    scoreShrinkage: share,
    thresholds: [],
  };
}

function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(matrix.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = matrix[i * columns + j] ?? 0;
  return out;
}

/** Maps in plain JavaScript, without a thread: one linear layer. */
export function plainAdapter(entry: ProjectionEntry, { layers: [layer] }: Projection): VectorAdapter {
  const { input = 0, output = 0, weight } = layer ?? {};
  const map = (vector: Float32Array): Float32Array => {
    const out = new Float32Array(output);
    for (const [i, value] of vector.entries()) {
      for (let j = 0; j < output; j++) out[j] = (out[j] ?? 0) + value * (weight?.[i * output + j] ?? 0);
    }
    return out;
  };
  return {
    entry,
    applyOnce: async (vector) => map(vector),
    apply: async ({ rows, data }) => {
      const mapped = Array.from({ length: rows }, (_, row) => map(data.subarray(row * input, (row + 1) * input)));
      return { rows, columns: output, data: Float32Array.from(mapped.flatMap((vector) => [...vector])) };
    },
  };
}
