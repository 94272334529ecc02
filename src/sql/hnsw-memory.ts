/** pgvector's default: neighbours of a node on each layer but the lowest, which has twice as many. */
export const DEFAULT_M = 16;

/**
 * Bytes of maintenance_work_mem in which the whole graph of an HNSW index fits while it is built; with less it goes on through the
 * pages on disk, many times slower. A node is its vector, 16 bytes for each of 2m neighbours and those of the layers above, and its header;
 * pgvector 0.8 said "graph no longer fits" after 7,450 vectors of 384 dimensions in 16 MB, which is 2,252 bytes a node.
 */
export function hnswMemoryBytes(rows: number, m: number, vectorBytes: number): number {
  return rows * (vectorBytes + 16 * m * (2 + 1 / Math.max(1, m - 1)) + 180);
}
