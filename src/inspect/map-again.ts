import type { Adapter } from '../adapters/apply.ts';
import type { Matrix } from '../adapters/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { adaptedSql } from '../sql/pending.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { decodeVector } from '../vector/binary.ts';
import { cosine } from '../vector/math.ts';
import { type ComparedVectors, MAX_MISMATCHES, type Mismatch } from './compare-again.ts';
import { readStored, type StoredRow, sentVectorSql } from './read-stored.ts';

export interface MapAgainOptions {
  /** The column of the old vectors, in the same table. */
  readonly old: VectorTarget;
  readonly adapter: Adapter;
  /** Undefined compares every adapted row. */
  readonly sampleSize: number | undefined;
  readonly seed: number;
}

export interface MappedVectors extends ComparedVectors {
  /** Among those below the limit: rows that have no old vector any more, or one of another size. */
  readonly withoutOld: number;
}

/** A map is the same every time; a halfvec keeps 11 bits of each value. */
const LIMIT = 0.9999;

/** Maps the old vectors of adapted rows again and compares with what is stored, rows that lost their text too. */
export async function mapAgain(
  ctx: MigrationContext,
  target: VectorTarget,
  { old, adapter, sampleSize, seed }: MapAgainOptions,
): Promise<{ readonly mapped: MappedVectors; readonly mismatches: readonly Mismatch[] }> {
  const columns = [`${sentVectorSql(target, 't')} AS vector`, `${sentVectorSql(old, 't')} AS old`];
  const where = `${adaptedSql(target, 't')} AND t.${quoteIdentifier(target.column)} IS NOT NULL`;
  const mismatches: Mismatch[] = [];
  const sums = { rows: 0, below: 0, withoutOld: 0, mapped: 0, min: Number.NaN, cosines: 0 };
  for await (const window of readStored(ctx, target, { columns, where, sampleSize, seed })) {
    const again = await mapWindow(adapter, window, ctx.signal);
    for (const [i, row] of window.entries()) {
      const value = compared(row, again[i]);
      sums.rows++;
      if (oldOf(row, adapter) === undefined) sums.withoutOld++;
      if (!Number.isNaN(value)) {
        sums.mapped++;
        sums.cosines += value;
        sums.min = Number.isNaN(sums.min) ? value : Math.min(sums.min, value);
      }
      if (value >= LIMIT) continue;
      sums.below++;
      if (mismatches.length < MAX_MISMATCHES) mismatches.push({ key: row.key, cosine: value });
    }
  }
  const { rows, below, withoutOld, min, cosines } = sums;
  const mapped = { rows, below, withoutOld, limit: LIMIT, minCosine: min, meanCosine: cosines / sums.mapped };
  return { mapped, mismatches };
}

function compared({ vector }: StoredRow, mapped: Float32Array | undefined): number {
  const stored = decodeVector(vector as Uint8Array);
  return mapped?.length === stored.length ? cosine(stored, mapped) : Number.NaN;
}

/** Undefined where there is nothing to map, or the adapter refuses it: a vector that is not of the space that it learned from. */
async function mapWindow(
  adapter: Adapter,
  window: readonly StoredRow[],
  signal: AbortSignal | undefined,
): Promise<(Float32Array | undefined)[]> {
  const vectors = window.map((row) => oldOf(row, adapter));
  const given = vectors.filter((vector) => vector !== undefined);
  const mapped = (await mapAll(adapter, given, signal)).values();
  return vectors.map((vector) => (vector === undefined ? undefined : mapped.next().value));
}

function oldOf({ old }: StoredRow, { entry }: Adapter): Float32Array | undefined {
  const vector = old === null ? undefined : decodeVector(old as Uint8Array);
  return vector?.length === entry.source.dimensions ? vector : undefined;
}

async function mapAll(
  adapter: Adapter,
  vectors: readonly Float32Array[],
  signal: AbortSignal | undefined,
): Promise<(Float32Array | undefined)[]> {
  const { matrix, faults } = await adapter.applyAll(matrixOf(vectors, adapter.entry.source.dimensions), signal);
  const refused = new Set(faults.map(({ row }) => row));
  return rowsOf(matrix).map((row, i) => (refused.has(i) ? undefined : row));
}

function matrixOf(vectors: readonly Float32Array[], columns: number): Matrix {
  const data = new Float32Array(vectors.length * columns);
  for (const [i, vector] of vectors.entries()) data.set(vector, i * columns);
  return { rows: vectors.length, columns, data };
}

function rowsOf({ rows, columns, data }: Matrix): Float32Array[] {
  return Array.from({ length: rows }, (_, i) => data.subarray(i * columns, (i + 1) * columns));
}
