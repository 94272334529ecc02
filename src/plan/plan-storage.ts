import { heapBytes, newColumnBytes, PAGE_BYTES, vectorBytes } from '../sql/storage.ts';
import type { VectorTarget } from '../sql/target.ts';
import { type Estimate, within } from './estimate.ts';
import type { PlanFacts } from './facts.ts';
import type { PlannedVectorIndex } from './plan-indexes.ts';

export interface PlannedStorage {
  /** Vectors and provenance of all rows. */
  readonly newColumnBytes: number;
  readonly newIndexBytes: number;
  /** Vectors of the old column, which stay until VACUUM FULL or a repack even when it is dropped. */
  readonly oldColumnBytes: number | undefined;
  /** As measured. */
  readonly tableBytes: number;
  readonly indexBytes: number;
  /** Table and indexes at the most, before the old column is dropped: between VACUUM keeping up and never running. */
  readonly peakBytes: Estimate;
  /** The table alone once the old column is dropped and VACUUM FULL or a repack has run. */
  readonly compactTableBytes: number | undefined;
  /** Write-ahead log of the backfill, and of building the indexes. */
  readonly walBytes: { readonly backfill: Estimate; readonly indexes: Estimate };
}

/** Records of the row lock and of the update, without the row itself; of a new entry in a B-tree or another index. */
const LOCK_RECORD_BYTES = 60;
const UPDATE_RECORD_BYTES = 100;
const INDEX_RECORD_BYTES = 90;
/** Beside the vector: page headers and, in HNSW, the neighbours whose lists change. */
const ANN_RECORD_BYTES = { ivfflat: 120, hnsw: 1_500 };
/** Checkpoints in between write pages whole again, wal_compression makes them smaller. */
const WAL_FACTOR = 2;

/** What the migration takes on disk, while it runs and afterwards. */
export function planStorage(
  facts: PlanFacts,
  target: VectorTarget,
  indexes: readonly PlannedVectorIndex[],
  { column, keepsIndex }: { readonly column: string; readonly keepsIndex: boolean },
): PlannedStorage {
  const rows = facts.rowsEstimate;
  const oldBytes = oldVectorBytes(facts, column);
  const oldColumnBytes = oldBytes === undefined ? undefined : rows * oldBytes;
  const columnBytes = newColumnBytes(rows, target);
  const newIndexBytes = indexes.reduce((sum, index) => sum + index.bytes, 0);
  return {
    newColumnBytes: columnBytes,
    newIndexBytes,
    oldColumnBytes,
    tableBytes: facts.tableBytes,
    indexBytes: facts.indexBytes,
    peakBytes: peakBytes(facts, columnBytes, newIndexBytes),
    compactTableBytes:
      oldColumnBytes === undefined ? undefined : Math.max(0, facts.tableBytes + columnBytes - oldColumnBytes),
    walBytes: {
      backfill: within(backfillWalBytes(facts, columnBytes, keepsIndex ? (oldBytes ?? 0) : undefined), WAL_FACTOR),
      indexes: within(newIndexBytes, WAL_FACTOR),
    },
  };
}

/** Of one old vector; undefined where their size is not known. */
function oldVectorBytes({ table, oldDimensions }: PlanFacts, column: string): number | undefined {
  if (oldDimensions === undefined) return undefined;
  const type = table.columns.find(({ name }) => name === column)?.type ?? '';
  return vectorBytes(/\bhalfvec\b/.test(type) ? 'halfvec' : 'vector', oldDimensions);
}

/**
 * Every row gets a second version with its vector, and an entry in every index (no page has room for it beside the old one, so that the
 * update is never heap-only). With VACUUM keeping up the first versions' room is used again, otherwise all of it comes on top.
 */
function peakBytes(facts: PlanFacts, columnBytes: number, newIndexBytes: number): Estimate {
  const rows = facts.rowsEstimate;
  const heap = heapOf(facts);
  const grown = heapBytes(rows, (heap + columnBytes) / Math.max(1, rows));
  const low = facts.tableBytes - heap + grown + facts.indexBytes + newIndexBytes;
  const high = facts.tableBytes + grown + 2 * facts.indexBytes + newIndexBytes;
  return { value: high, low: Math.min(low, high), high, basis: 'estimated' };
}

/**
 * Lock, new version and index entries of each row, and once every page of the table and its indexes whole: the first change after a
 * checkpoint writes a full-page image (`full_page_writes`).
 *
 * @param keptVectorBytes of an old vector whose indexes are kept; undefined where they are dropped
 */
function backfillWalBytes(facts: PlanFacts, columnBytes: number, keptVectorBytes: number | undefined): number {
  const rows = facts.rowsEstimate;
  const heap = heapOf(facts);
  const others = facts.table.indexes.length - facts.annIndexes.length;
  const ann =
    keptVectorBytes === undefined
      ? 0
      : facts.annIndexes.reduce((sum, { method }) => sum + keptVectorBytes + ANN_RECORD_BYTES[method], 0);
  const records = LOCK_RECORD_BYTES + UPDATE_RECORD_BYTES + others * INDEX_RECORD_BYTES + ann;
  const images = heap + (keptVectorBytes !== undefined ? facts.indexBytes : others * PAGE_BYTES);
  return rows === 0 ? 0 : rows * records + heap + columnBytes + images;
}

/** The rows themselves; where only the whole table's size is known, that. */
function heapOf(facts: PlanFacts): number {
  return facts.heapBytes ?? facts.tableBytes;
}
