import type { Distance, IndexKind, MigrationDefinition } from '../config/types.ts';
import { buildMemoryBytes } from '../sql/build-resources.ts';
import { buildingIndexName } from '../sql/exchange.ts';
import { fitIdentifier } from '../sql/identifiers.ts';
import { createIndexSql, type IndexDefinition, parseIndexDefinition } from '../sql/index-definition.ts';
import { chooseIndex, largestPart } from '../sql/partitioned-index.ts';
import { quantizationOf } from '../sql/quantization.ts';
import { indexBytes } from '../sql/storage.ts';
import type { VectorTarget } from '../sql/target.ts';
import {
  DEFAULT_KIND,
  ivfflatMemoryBytes,
  keepOldOptions,
  kindInPlaceOf,
  retargetVectorIndex,
  type VectorIndexChoice,
  type VectorIndexKind,
  vectorIndexDefinition,
} from '../sql/vector-index.ts';
import type { PlanFacts } from './facts.ts';

export interface PlannedVectorIndex {
  readonly name: string;
  readonly kind: Exclude<IndexKind, 'none'>;
  readonly lists: number | undefined;
  readonly probes: number | undefined;
  readonly efSearch: number | undefined;
  readonly sql: string;
  /** maintenance_work_mem that building it needs; undefined for HNSW, which goes on without. */
  readonly buildMemoryBytes: number | undefined;
  /** maintenance_work_mem in which the whole graph of an HNSW index fits: with less, building it is many times slower. */
  readonly graphBytes: number | undefined;
  /** An estimate, on disk. */
  readonly bytes: number;
  /** Why it is not what was asked for. */
  readonly notice: string | undefined;
}

const MEMORY_LIMIT_BYTES = 2 * 2 ** 30;

/** The indexes that 007 would build on this many rows: each of the old ones made over, or one where there was none. */
export function planVectorIndexes(
  facts: PlanFacts,
  definition: MigrationDefinition,
  target: VectorTarget,
  distance: Distance,
): PlannedVectorIndex[] {
  const { kind: asked, quantization } = definition.index;
  if (asked === 'none') return [];
  const choose = (kind: VectorIndexKind): VectorIndexChoice =>
    chooseIndex({ ...definition.index, kind }, facts, definition.dimensions, MEMORY_LIMIT_BYTES);
  if (facts.annIndexes.length === 0) {
    const kind = asked ?? DEFAULT_KIND;
    const choice = choose(kind);
    const name = fitIdentifier(`${facts.table.name}_${definition.column}`, `_${kind}_idx`);
    return [planned(name, choice, vectorIndexDefinition(target, choice, distance, quantization), facts, target)];
  }
  const from = { column: definition.column, dimensions: facts.oldDimensions ?? 0 };
  return facts.annIndexes.map((index) => {
    const old = parseIndexDefinition(index.definition);
    const choice = keepOldOptions(choose(kindInPlaceOf(old, from.column, asked)), old);
    const options = { from, target, choice, distance: definition.index.distance, quantization };
    const made = retargetVectorIndex(index.definition, options);
    return planned(index.name, choice, made, facts, target);
  });
}

function planned(
  name: string,
  choice: VectorIndexChoice,
  definition: IndexDefinition,
  facts: PlanFacts,
  target: VectorTarget,
): PlannedVectorIndex {
  const parted = facts.partitionRows !== undefined;
  return {
    name,
    kind: choice.kind,
    lists: choice.lists,
    probes: choice.probes,
    efSearch: choice.efSearch,
    sql: createIndexSql(target, buildingIndexName(name), definition, parted ? 'only' : 'concurrently'),
    buildMemoryBytes: choice.lists === undefined ? undefined : ivfflatMemoryBytes(choice.lists, target.dimensions),
    graphBytes: choice.kind === 'hnsw' ? buildMemoryBytes(definition, target, largestPart(facts)) : undefined,
    bytes: indexBytes(choice.kind, facts.rowsEstimate, target, quantizationOf(definition, target.column)),
    notice: choice.notice,
  };
}
