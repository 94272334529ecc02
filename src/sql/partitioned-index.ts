import { fitIdentifier, quoteQualified } from './identifiers.ts';
import { chooseVectorIndex, type VectorIndexChoice, type VectorIndexSettings } from './vector-index.ts';

/** As for a table that stands alone: under so many rows an IVFFlat index has little to learn from. */
const FEW_ROWS = 500;
const ROWS_PER_LIST = 50;

/**
 * One index over partitions with so many rows each. All of them have one kind, by all rows together; IVFFlat's lists are a partition's own, and
 * those of the largest stand for the whole.
 */
export function chooseForPartitions(
  settings: VectorIndexSettings,
  rows: readonly number[],
  dimensions: number,
  memoryLimitBytes: number,
): VectorIndexChoice {
  const total = rows.reduce((sum, count) => sum + count, 0);
  const whole = chooseVectorIndex(settings, total, dimensions, memoryLimitBytes);
  if (whole.kind !== 'ivfflat') return whole;
  const choice = listsOfPartition(settings, Math.max(0, ...rows), dimensions, memoryLimitBytes);
  const few = rows.filter((count) => count < FEW_ROWS).length;
  if (few === 0) return choice;
  return {
    ...choice,
    notice: `${few} of ${rows.length} partitions have less than ${FEW_ROWS} rows, and as many lists as these fill: one that will grow is better served by index.kind "hnsw".`,
  };
}

interface RowFacts {
  readonly rowsEstimate: number;
  readonly partitionRows?: readonly number[] | undefined;
}

/** The index for a table with so many rows, in partitions or not. */
export function chooseIndex(
  settings: VectorIndexSettings,
  { rowsEstimate, partitionRows }: RowFacts,
  dimensions: number,
  memoryLimitBytes: number,
): VectorIndexChoice {
  return partitionRows === undefined
    ? chooseVectorIndex(settings, rowsEstimate, dimensions, memoryLimitBytes)
    : chooseForPartitions(settings, partitionRows, dimensions, memoryLimitBytes);
}

/** Rows of the index that is built at a time: of the largest partition where there are any. */
export function largestPart({ rowsEstimate, partitionRows }: RowFacts): number {
  return partitionRows === undefined ? rowsEstimate : Math.max(0, ...partitionRows);
}

/** An IVFFlat index of a partition with so many rows: at least one list, which is searched whole and misses nothing. */
export function listsOfPartition(
  settings: VectorIndexSettings,
  rows: number,
  dimensions: number,
  memoryLimitBytes: number,
): VectorIndexChoice {
  if (rows >= FEW_ROWS) return chooseVectorIndex({ ...settings, kind: 'ivfflat' }, rows, dimensions, memoryLimitBytes);
  const lists = Math.max(1, Math.floor(rows / ROWS_PER_LIST));
  return { kind: 'ivfflat', options: { lists: String(lists) }, lists, probes: Math.ceil(Math.sqrt(lists)) };
}

/** The name of a partition's index where none gives it: the partition's in the place of the table's. */
export function partitionIndexName(table: string, partition: string, index: string): string {
  return fitIdentifier(partition, index.startsWith(`${table}_`) ? index.slice(table.length) : `_${index}`);
}

/** Makes a partition's index a part of the one above it, which is valid from the last of them on. */
export function attachIndexSql(
  parent: { readonly schema: string; readonly name: string },
  child: { readonly schema: string; readonly name: string },
): string {
  return `ALTER INDEX ${quoteQualified(parent.schema, parent.name)} ATTACH PARTITION ${quoteQualified(child.schema, child.name)}`;
}
