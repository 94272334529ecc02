/** HnswElementData, its pointer to the neighbours and one level of them; see src/hnsw.h of pgvector. */
const ELEMENT_BYTES = 128 + 8 + 8;
const CANDIDATE_BYTES = 16;
/** pgvector's default. */
export const DEFAULT_M = 16;

/**
 * Bytes that an HNSW graph takes in memory while it is built, vectors included: 2m neighbours on the lowest level, m on each of the
 * others, on which one row in m stands, one in m² and so on.
 */
export function hnswMemoryBytes(rows: number, dimensions: number, m: number = DEFAULT_M): number {
  const lowest = 8 + 2 * m * CANDIDATE_BYTES;
  const others = (8 + 8 + m * CANDIDATE_BYTES) / (m - 1);
  return rows * (ELEMENT_BYTES + lowest + others + 8 + 4 * dimensions);
}
