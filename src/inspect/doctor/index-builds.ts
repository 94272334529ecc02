import { DEFAULT_M, hnswMemoryBytes } from '../../sql/hnsw-memory.ts';
import { parseIndexDefinition } from '../../sql/index-definition.ts';
import { chooseIndex, largestPart } from '../../sql/partitioned-index.ts';
import { indexBytes, indexedVectorBytes, type Quantization } from '../../sql/storage.ts';
import {
  DEFAULT_KIND,
  ivfflatMemoryBytes,
  keepOldOptions,
  kindInPlaceOf,
  type VectorIndexChoice,
  type VectorIndexKind,
} from '../../sql/vector-index.ts';
import { annIndexesOn } from '../facts.ts';
import type { Examined } from './look.ts';

/** More lists than fit into so much memory are not built. */
const MEMORY_LIMIT_BYTES = 2 * 2 ** 30;

export interface IndexBuild {
  readonly kind: VectorIndexKind;
  /** Undefined for HNSW. */
  readonly lists: number | undefined;
  /** maintenance_work_mem with which it is built as fast as it can be, or for IVFFlat at all. */
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** The vector indexes that the swap will build; after it those that a REINDEX would build again. */
export function indexBuilds(examined: Pick<Examined, 'ctx' | 'facts' | 'table' | 'record'>): IndexBuild[] {
  const { ctx, facts, table, record } = examined;
  const { definition } = ctx;
  if (record?.active === 'new') {
    return annIndexesOn(table, definition.column).map(({ method, lists, quantization, definition: sql }) => {
      const { options } = parseIndexDefinition(sql);
      const choice = { kind: method, options, ...(lists === undefined ? {} : { lists }) };
      return build(examined, choice, quantization ?? 'none');
    });
  }
  const { kind: asked, quantization } = definition.index;
  if (asked === 'none') return [];
  const choose = (kind: VectorIndexKind): VectorIndexChoice =>
    chooseIndex({ ...definition.index, kind }, facts, definition.dimensions, MEMORY_LIMIT_BYTES);
  if (facts.annIndexes.length === 0) return [build(examined, choose(asked ?? DEFAULT_KIND), quantization)];
  return facts.annIndexes.map((index) => {
    const old = parseIndexDefinition(index.definition);
    return build(examined, keepOldOptions(choose(kindInPlaceOf(old, definition.column, asked)), old), quantization);
  });
}

function build(
  { ctx, facts }: Pick<Examined, 'ctx' | 'facts'>,
  choice: VectorIndexChoice,
  quantization: Quantization,
): IndexBuild {
  const { definition } = ctx;
  const { kind, lists, options } = choice;
  const rows = facts.rowsEstimate;
  const graph = (): number =>
    hnswMemoryBytes(largestPart(facts), Number(options.m ?? DEFAULT_M), indexedVectorBytes(definition, quantization));
  return {
    kind,
    lists,
    memoryBytes: lists === undefined ? graph() : ivfflatMemoryBytes(lists, definition.dimensions),
    diskBytes: indexBytes(kind, rows, definition, quantization),
  };
}
