import {
  type IndexDefinition,
  type IndexedColumn,
  parseIndexDefinition,
  retargetExpression,
  splitKey,
  unquote,
} from './index-definition.ts';
import { type Quantization, quantizationOf, quantizedKey } from './quantization.ts';
import type { VectorTarget } from './target.ts';

export type VectorIndexKind = 'ivfflat' | 'hnsw';
/** `l1` is known to HNSW only; it is not offered, but an old index may have it. */
export type IndexDistance = 'cosine' | 'l2' | 'ip' | 'l1';

export interface VectorIndexSettings {
  readonly kind: VectorIndexKind;
  readonly lists: number | 'reference' | 'pgvector';
  readonly m: number | undefined;
  readonly efConstruction: number | undefined;
}

/** What is built, and how it is searched. */
export interface VectorIndexChoice {
  readonly kind: VectorIndexKind;
  /** Storage parameters. */
  readonly options: Readonly<Record<string, string>>;
  readonly lists?: number;
  readonly probes?: number;
  readonly efSearch?: number;
  /** Why it is not what was asked for. */
  readonly notice?: string;
}

/** k-means needs about this many rows a list to learn from. */
const ROWS_PER_LIST = 50;
/** Below this an IVFFlat index would be built on next to nothing and stay bad as the table grows. */
const IVFFLAT_MIN_ROWS = 500;
const DEFAULT_EF_SEARCH = 40;

/** min(1000, max(100, √rows)), the reference guide's formula. */
export function referenceLists(rows: number): number {
  return Math.min(1000, Math.max(100, Math.floor(Math.sqrt(rows))));
}

/** rows/1000 up to a million rows, then √rows, as pgvector's README advises. */
export function pgvectorLists(rows: number): number {
  return Math.max(1, Math.round(rows <= 1_000_000 ? rows / 1000 : Math.sqrt(rows)));
}

/** Lists to look into for a search: √lists, pgvector's starting point. */
export function defaultProbes(lists: number): number {
  return Math.max(1, Math.ceil(Math.sqrt(lists)));
}

/** Bytes of maintenance_work_mem that building IVFFlat needs; measured, design of the k-means in pgvector. */
export function ivfflatMemoryBytes(lists: number, dimensions: number): number {
  return 204 * lists ** 2 + 50 * lists * (4 * dimensions + 16) + 12 * lists * dimensions;
}

/** The most lists whose building stays within so many bytes. */
export function listsWithinMemory(lists: number, dimensions: number, limitBytes: number): number {
  let low = 1;
  let high = lists;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (ivfflatMemoryBytes(middle, dimensions) <= limitBytes) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The index for so many rows: IVFFlat with lists that the rows can fill, HNSW where there are too few of them. */
export function chooseVectorIndex(
  settings: VectorIndexSettings,
  rows: number,
  dimensions: number,
  memoryLimitBytes: number,
): VectorIndexChoice {
  if (settings.kind === 'hnsw') return hnsw(settings);
  if (rows < IVFFLAT_MIN_ROWS) {
    return {
      ...hnsw(settings),
      notice: `An IVFFlat index needs at least ${IVFFLAT_MIN_ROWS} rows to learn its lists from and finds ${rows}; an HNSW index takes its name.`,
    };
  }
  const asked =
    settings.lists === 'reference'
      ? referenceLists(rows)
      : settings.lists === 'pgvector'
        ? pgvectorLists(rows)
        : settings.lists;
  const filled = Math.min(asked, Math.floor(rows / ROWS_PER_LIST));
  const lists = listsWithinMemory(filled, dimensions, memoryLimitBytes);
  const choice = { kind: 'ivfflat', options: { lists: String(lists) }, lists, probes: defaultProbes(lists) } as const;
  if (lists === asked) return choice;
  const reason =
    lists < filled
      ? `more would need over ${Math.round(memoryLimitBytes / 2 ** 20)} MB of maintenance_work_mem`
      : `${rows} rows fill no more`;
  return { ...choice, notice: `The IVFFlat index gets ${lists} lists instead of ${asked}: ${reason}.` };
}

function hnsw(settings: VectorIndexSettings): VectorIndexChoice {
  const options: Record<string, string> = {};
  if (settings.m !== undefined) options.m = String(settings.m);
  if (settings.efConstruction !== undefined) options.ef_construction = String(settings.efConstruction);
  return { kind: 'hnsw', options, efSearch: DEFAULT_EF_SEARCH };
}

/** The distance of an index as pg_get_indexdef prints it; IVFFlat's default operator class is l2 and is not printed. */
export function distanceOf(definition: IndexDefinition): IndexDistance | undefined {
  const { operatorClass } = splitKey(definition.keys);
  if (operatorClass === '') return 'l2';
  const match = /(?:vector|halfvec|sparsevec)_(cosine|l2|ip|l1)_ops"?/.exec(operatorClass);
  return match?.[1] as IndexDistance | undefined;
}

/** An index on the whole column. */
export function vectorIndexDefinition(
  target: Pick<VectorTarget, 'column' | 'vectorType' | 'vectorSchema' | 'dimensions'>,
  choice: Pick<VectorIndexChoice, 'kind' | 'options'>,
  distance: IndexDistance,
  quantization: Quantization = 'none',
): IndexDefinition {
  return {
    unique: false,
    method: choice.kind,
    keys: quantizedKey(target, quantization, distance),
    include: undefined,
    nullsNotDistinct: false,
    options: choice.options,
    predicate: undefined,
  };
}

export interface RetargetOptions {
  readonly from: IndexedColumn;
  readonly target: Pick<VectorTarget, 'column' | 'dimensions' | 'vectorType' | 'vectorSchema'>;
  readonly choice: Pick<VectorIndexChoice, 'kind' | 'options'>;
  /** Undefined keeps that of the old index. */
  readonly distance: IndexDistance | undefined;
  /** `none` keeps the old index's expression. */
  readonly quantization?: Quantization;
}

/** An old ANN index made over for the new column: same expression, same predicate, the chosen kind, its own distance unless another is asked for. */
export function retargetVectorIndex(sql: string, options: RetargetOptions): IndexDefinition {
  const { from, target, choice } = options;
  const old = parseIndexDefinition(sql);
  const { expression, operatorClass } = splitKey(old.keys);
  const held = quantizationOf(old, from.column);
  const distance = options.distance ?? (held === 'binary' ? undefined : distanceOf(old));
  const predicate = old.predicate === undefined ? undefined : retargetExpression(old.predicate, from, target);
  const { quantization = 'none' } = options;
  const isOurs = held === 'none' || (held !== undefined && quantization !== 'none');
  if (isOurs && (distance !== undefined || quantization !== 'none')) {
    return { ...vectorIndexDefinition(target, choice, distance ?? 'cosine', quantization), predicate };
  }
  const keys =
    `${retargetExpression(expression, from, target)} ${withDistance(operatorClass, options.distance)}`.trim();
  return { ...old, method: choice.kind, options: choice.options, keys, predicate };
}

/** The kind for a column that had no index. */
export const DEFAULT_KIND: VectorIndexKind = 'ivfflat';

/** True when only the old index's own kind can have its operator class: HNSW for l1, Jaccard and sparse vectors, either's unprinted default. */
function keepsKind(definition: IndexDefinition, column: string): boolean {
  const { expression, operatorClass } = splitKey(definition.keys);
  if (operatorClass === '') return unquote(expression) !== column;
  return /sparsevec_|_l1_ops|bit_jaccard_ops/.test(operatorClass);
}

/** The kind that takes the place of an old index: the one asked for, else its own; its own also where no other can have its operator class. */
export function kindInPlaceOf(
  old: IndexDefinition,
  column: string,
  asked: VectorIndexKind | undefined,
): VectorIndexKind {
  return asked === undefined || keepsKind(old, column) ? kindOf(old) : asked;
}

/** m and ef_construction of an old HNSW index hold unless others are configured. */
export function keepOldOptions(choice: VectorIndexChoice, old: IndexDefinition): VectorIndexChoice {
  if (choice.kind !== 'hnsw' || old.method !== 'hnsw') return choice;
  return { ...choice, options: { ...old.options, ...choice.options } };
}

/** Of an approximate index. */
export function kindOf(old: IndexDefinition): VectorIndexKind {
  return old.method === 'hnsw' ? 'hnsw' : 'ivfflat';
}

function withDistance(operatorClass: string, distance: IndexDistance | undefined): string {
  if (distance === undefined) return operatorClass;
  return operatorClass.replace(/(vector|halfvec|sparsevec)_(?:cosine|l2|ip|l1)_ops/, `$1_${distance}_ops`);
}

/** Any other index that reads the old column (a partial B-tree, say), made over for the new one. */
export function retargetIndex(sql: string, from: IndexedColumn, to: IndexedColumn): IndexDefinition {
  const old = parseIndexDefinition(sql);
  const over = (part: string | undefined): string | undefined =>
    part === undefined ? undefined : retargetExpression(part, from, to);
  return {
    ...old,
    keys: retargetExpression(old.keys, from, to),
    include: over(old.include),
    predicate: over(old.predicate),
  };
}
