import { quoteIdentifier, quoteQualified } from './identifiers.ts';
import { type IndexDefinition, splitKey, unquote } from './index-definition.ts';
import type { Quantization } from './storage.ts';
import type { VectorTarget } from './target.ts';

export type { Quantization };

type QuantizedTarget = Pick<VectorTarget, 'column' | 'vectorType' | 'vectorSchema' | 'dimensions'>;

/** The most dimensions that pgvector indexes. */
export function maxDimensions(vectorType: 'vector' | 'halfvec', quantization: Quantization): number {
  if (quantization === 'binary') return 64_000;
  return vectorType === 'halfvec' || quantization === 'halfvec' ? 4000 : 2000;
}

/**
 * The expression that such an index is over, and that a search has to order by to use it; `of` is SQL for the vector. Parenthesised as
 * Postgres prints it. https://github.com/pgvector/pgvector#half-precision-indexing and #binary-quantization
 */
export function quantizedSql(target: Omit<QuantizedTarget, 'column'>, quantization: Quantization, of: string): string {
  const { vectorSchema, dimensions } = target;
  if (quantization === 'none') return of;
  if (quantization === 'halfvec') return `((${of})::${quoteQualified(vectorSchema, 'halfvec')}(${dimensions}))`;
  return `((${quoteQualified(vectorSchema, 'binary_quantize')}(${of}))::pg_catalog.bit(${dimensions}))`;
}

/** The key of an index: expression and operator class. Signs are compared by how many differ, whatever the distance. */
export function quantizedKey(target: QuantizedTarget, quantization: Quantization, distance: string): string {
  const type = quantization === 'none' ? target.vectorType : quantization;
  const operatorClass = quantization === 'binary' ? 'bit_hamming_ops' : `${type}_${distance}_ops`;
  const expression = quantizedSql(target, quantization, quoteIdentifier(target.column));
  return `${expression} ${quoteQualified(target.vectorSchema, operatorClass)}`;
}

/** How an index holds `column`; undefined when it is over another expression. */
export function quantizationOf(
  definition: Pick<IndexDefinition, 'keys' | 'method'>,
  column: string,
): Quantization | undefined {
  const { expression, operatorClass } = splitKey(definition.keys);
  if (unquote(expression) === column) return 'none';
  const name = String.raw`\(?("(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*)\)?`;
  const schema = String.raw`(?:(?:"(?:[^"]|"")*"|[^\s:."(]+)\.)?`;
  const half = new RegExp(String.raw`^\(\(*${name}\)*::${schema}"?halfvec"?\(\d+\)\)+$`, 'u').exec(expression);
  if (half?.[1] !== undefined && unquote(half[1]) === column) return 'halfvec';
  const call = String.raw`^\(+${schema}"?binary_quantize"?\(${name}\)\)*::(?:pg_catalog\.)?"?bit"?\(\d+\)\)+$`;
  const binary = new RegExp(call, 'u').exec(expression);
  const isHamming = /bit_hamming_ops/.test(operatorClass) || (operatorClass === '' && definition.method === 'ivfflat');
  return binary?.[1] !== undefined && unquote(binary[1]) === column && isHamming ? 'binary' : undefined;
}

/**
 * Rows that the index is asked for when `limit` are wanted, the rest falling out as they are ordered by their exact distance; undefined
 * where the index's own order is exact. HNSW returns as many as ef_search looks at, so all of these are ordered anew.
 */
export function candidatesOf(
  index: {
    readonly kind: 'ivfflat' | 'hnsw';
    readonly quantization?: Quantization;
    readonly efSearch: number | undefined;
  },
  limit: number,
): number | undefined {
  const { kind, quantization = 'none', efSearch = 0 } = index;
  if (quantization === 'none') return undefined;
  if (quantization === 'halfvec') return Math.ceil(1.5 * limit);
  return kind === 'hnsw' ? Math.max(efSearch, 10 * limit) : 20 * limit;
}
