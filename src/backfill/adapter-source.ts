import type { Matrix, ProjectionEntry } from '../adapters/types.ts';
import { AdapterError } from '../errors.ts';
import { plural } from '../plural.ts';
import type { ModelFingerprint } from '../providers/types.ts';
import { refuseOneVector } from './check-vectors.ts';
import type { MappedWindow, MappingVectorSource, OldWindow } from './types.ts';

/** An adapter at work, as `openAdapter` gives it. */
export interface WorkingAdapter {
  readonly entry: ProjectionEntry;
  /** May take the matrix's memory for its own. */
  apply(matrix: Matrix, signal?: AbortSignal): Promise<Matrix>;
}

/** The share of a window that may be odd rows; above it the column is not what the adapter has learned. */
const ODD_SHARE = 0.05;
/** How far beyond the lengths that were learned from a vector may lie, in widths of their range and in lengths: a sample never holds the extremes. */
const BEYOND_RANGE = 1;
const BEYOND_LENGTH = 0.02;

/** Maps old vectors. @param model who the vectors are from: the adapter's provenance */
export function adapterSource(adapter: WorkingAdapter, model: ModelFingerprint): MappingVectorSource {
  const { entry } = adapter;
  return {
    needs: 'vector',
    model,
    dimensions: entry.source.dimensions,
    async map({ matrix, faults: unread }, signal) {
      const { faults, marks } = checkInput(entry, matrix, unread);
      refuseMany(entry, matrix.rows, faults);
      if (faults.size === matrix.rows) return { matrix: { rows: 0, columns: 0, data: new Float32Array(0) }, faults };
      standIn(matrix, faults);
      const mapped = await adapter.apply(matrix, signal);
      refuseCollapsed(model, mapped, faults, marks);
      return { matrix: mapped, faults } satisfies MappedWindow;
    },
  };
}

interface CheckedInput {
  readonly faults: Map<number, string>;
  /** What tells old vectors apart after their memory was given away. */
  readonly marks: Float64Array;
}

function checkInput(
  entry: ProjectionEntry,
  { rows, columns, data }: Matrix,
  unread: OldWindow['faults'],
): CheckedInput {
  const { minNorm, maxNorm } = entry.range;
  const margin = BEYOND_RANGE * (maxNorm - minNorm) + BEYOND_LENGTH * maxNorm;
  const faults = new Map(unread);
  const marks = new Float64Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    let squares = 0;
    for (const end = at + columns; at < end; at++) squares += (data[at] ?? 0) ** 2;
    const norm = Math.sqrt(squares);
    marks[row] = norm + 1e3 * (data[at - columns] ?? 0) + 1e6 * (data[at - 1] ?? 0);
    if (faults.has(row)) continue;
    if (!Number.isFinite(norm)) faults.set(row, 'the old vector has NaN or infinite values');
    else if (norm === 0) faults.set(row, 'the old vector has no direction: all values are zero');
    else if (norm < minNorm - margin || norm > maxNorm + margin) {
      faults.set(
        row,
        `the old vector's length is ${short(norm)}, ${entry.id} has learned from ${short(minNorm)} to ${short(maxNorm)}`,
      );
    }
  }
  return { faults, marks };
}

/** One odd row is a row's fault, many are the column's: nothing of it is written then. */
function refuseMany(entry: ProjectionEntry, rows: number, faults: ReadonlyMap<number, string>): void {
  if (faults.size <= 1 || faults.size <= rows * ODD_SHARE) return;
  const [[, example] = [0, '']] = faults;
  throw new AdapterError(
    'input_out_of_range',
    `${faults.size} of ${rows} ${plural(rows, 'row')} hold old vectors that ${entry.id} was not learned from, e.g. because ${example}. Nothing of this batch was written.`,
    {
      step: 'fill',
      hint: `Look at what the old column holds (its vectors may be of several models), and train on it: "reembed adapter train". "reembed adapter show ${entry.id}" tells what this one was made from.`,
      context: { odd: faults.size, rows, range: entry.range, adapter: entry.id },
    },
  );
}

/** An odd row must not keep the others from being mapped: a good one goes in its place, and what comes of it is not used. */
function standIn({ rows, columns, data }: Matrix, faults: ReadonlyMap<number, string>): void {
  if (faults.size === 0) return;
  let good = 0;
  while (good < rows && faults.has(good)) good++;
  for (const row of faults.keys()) data.copyWithin(row * columns, good * columns, (good + 1) * columns);
}

function refuseCollapsed(
  model: ModelFingerprint,
  { columns, data, rows }: Matrix,
  faults: ReadonlyMap<number, string>,
  marks: Float64Array,
): void {
  const distinct = new Map<number, Float32Array>();
  for (let row = 0; row < rows; row++) {
    if (!faults.has(row)) distinct.set(marks[row] ?? row, data.subarray(row * columns, (row + 1) * columns));
  }
  refuseOneVector([...distinct.values()], model, 'old vectors');
}

function short(value: number): string {
  return Number(value.toPrecision(4)).toString();
}
