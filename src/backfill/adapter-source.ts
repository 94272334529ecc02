import type { Adapter } from '../adapters/apply.ts';
import { allowedNorms, type InputFault } from '../adapters/input-faults.ts';
import type { Matrix, ProjectionEntry } from '../adapters/types.ts';
import { AdapterError } from '../errors.ts';
import { plural } from '../plural.ts';
import type { ModelFingerprint } from '../providers/types.ts';
import { vectorFault } from '../vector/vector-fault.ts';
import { refuseOneVector } from './check-vectors.ts';
import type { MappingVectorSource } from './types.ts';

/** The share of a window that may be odd rows; above it the column is not what the adapter has learned from. */
const ODD_SHARE = 0.05;

/**
 * Maps old vectors. A row that cannot be mapped is told with its reason; when they are more than a few, nothing of the window is given back.
 *
 * @param model who the vectors are from: the adapter's provenance
 */
export function adapterSource({ entry, applyAll }: Adapter, model: ModelFingerprint): MappingVectorSource {
  const memory: ArrayBuffer[] = [];
  return {
    needs: 'vector',
    model,
    dimensions: entry.source.dimensions,
    takeMemory: () => memory.pop(),
    async map(old, signal) {
      const marks = markVectors(old.matrix);
      const { matrix, faults: found, given } = await applyAll(old.matrix, signal);
      if (given.buffer instanceof ArrayBuffer) memory.push(given.buffer);
      const faults = new Map(found.map((fault) => [fault.row, reasonOf(entry, fault)]));
      for (const [row, reason] of old.faults) faults.set(row, reason);
      const vectors: Float32Array[] = [];
      const kept: number[] = [];
      for (let row = 0; row < matrix.rows; row++) {
        if (faults.has(row)) continue;
        const vector = matrix.data.subarray(row * matrix.columns, (row + 1) * matrix.columns);
        const fault = vectorFault(vector, model);
        if (fault === undefined) {
          vectors.push(vector);
          kept.push(marks[row] ?? row);
        } else faults.set(row, `what ${model.name} makes of it has ${fault}`);
      }
      refuseMany(entry, matrix.rows, faults);
      refuseOneVector(vectors, model, { of: 'old vectors', marks: kept });
      return { matrix, faults };
    },
  };
}

/** What tells old vectors apart well enough after their memory was given away. */
function markVectors({ rows, columns, data }: Matrix): Float64Array {
  return Float64Array.from({ length: rows }, (_, row) => {
    const first = row * columns;
    return (data[first] ?? 0) + 1e4 * (data[first + (columns >> 1)] ?? 0) + 1e8 * (data[first + columns - 1] ?? 0);
  });
}

function reasonOf(entry: ProjectionEntry, { code, norm }: InputFault): string {
  if (code === 'not_finite') return 'the old vector has NaN or infinite values';
  const { low, high } = allowedNorms(entry.range);
  return `the old vector's length is ${short(norm)}, ${entry.id} takes ${short(low)} to ${short(high)}`;
}

/** One odd row is that row's fault, many are the column's. */
function refuseMany(entry: ProjectionEntry, rows: number, faults: ReadonlyMap<number, string>): void {
  if (faults.size <= 1 || faults.size <= rows * ODD_SHARE) return;
  const [example] = faults.values();
  throw new AdapterError(
    'old_vectors_unfit',
    `${faults.size} of ${rows} old ${plural(rows, 'vector')} cannot be mapped by ${entry.id}, e.g. because ${example}. Nothing of this batch was written.`,
    {
      step: 'fill',
      hint: `Look what the old column holds: vectors of several models, perhaps. "reembed adapter show ${entry.id}" tells what this one was learned from, "reembed adapter train" learns anew.`,
      context: { unfit: faults.size, rows, adapter: entry.id, range: entry.range },
    },
  );
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
