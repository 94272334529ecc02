import type { VectorTarget } from './target.ts';

/** How an index holds the vectors of its column: as they are, in half precision, or as the signs of their values. */
export type Quantization = 'none' | 'halfvec' | 'binary';

export const PAGE_BYTES = 8192;
/** Page header and special space. */
const PAGE_OVERHEAD_BYTES = 32;
/** Line pointer and tuple header of an index row. */
const INDEX_ROW_BYTES = 12;
/** pgvector's default of m: neighbours a node, twice as many on the lowest layer, six bytes each. */
const HNSW_NODE_BYTES = 72 + 3 * 16 * 6;
/** model int4, hash bytea of 16 bytes with its header, at timestamptz, with alignment. */
const PROVENANCE_BYTES = 4 + 17 + 3 + 8;

/** pgvector: 4 bytes of length, 4 of header, then 4 (halfvec 2) a value. */
export function vectorBytes(type: 'vector' | 'halfvec', dimensions: number): number {
  return 8 + (type === 'halfvec' ? 2 : 4) * dimensions;
}

/** Bytes of one vector in an index that holds it so; signs are bits, with a header of 8 bytes. */
export function indexedVectorBytes(
  { vectorType, dimensions }: Pick<VectorTarget, 'vectorType' | 'dimensions'>,
  quantization: Quantization,
): number {
  if (quantization === 'binary') return 8 + Math.ceil(dimensions / 8);
  return vectorBytes(quantization === 'halfvec' ? 'halfvec' : vectorType, dimensions);
}

/** Vector and provenance of all rows. */
export function newColumnBytes(rows: number, target: Pick<VectorTarget, 'vectorType' | 'dimensions'>): number {
  return rows * (vectorBytes(target.vectorType, target.dimensions) + PROVENANCE_BYTES);
}

/** Rows of an index are not divided between pages: as many as fit whole. */
export function indexBytes(
  kind: 'ivfflat' | 'hnsw',
  rows: number,
  target: Pick<VectorTarget, 'vectorType' | 'dimensions'>,
  quantization: Quantization = 'none',
): number {
  const row = indexedVectorBytes(target, quantization) + INDEX_ROW_BYTES + (kind === 'hnsw' ? HNSW_NODE_BYTES : 0);
  const perPage = Math.max(1, Math.floor((PAGE_BYTES - PAGE_OVERHEAD_BYTES) / row));
  return Math.ceil(rows / perPage) * PAGE_BYTES;
}

/** Of a table's rows: as many as fit whole on a page. */
export function heapBytes(rows: number, rowBytes: number): number {
  const perPage = Math.max(1, Math.floor((PAGE_BYTES - PAGE_OVERHEAD_BYTES) / Math.max(1, rowBytes)));
  return Math.ceil(rows / perPage) * PAGE_BYTES;
}
