import type { Distance, MigrationDefinition } from '../config/types.ts';
import { buildingIndexName } from '../sql/exchange.ts';
import { fitIdentifier } from '../sql/identifiers.ts';
import { createIndexSql, type IndexDefinition, parseIndexDefinition } from '../sql/index-definition.ts';
import { indexBytes } from '../sql/storage.ts';
import type { VectorTarget } from '../sql/target.ts';
import {
  chooseVectorIndex,
  DEFAULT_KIND,
  ivfflatMemoryBytes,
  keepOldOptions,
  kindInPlaceOf,
  retargetVectorIndex,
  type VectorIndexChoice,
  type VectorIndexKind,
  vectorIndexDefinition,
} from '../sql/vector-index.ts';
import type { PlanFacts, PlannedVectorIndex } from './types.ts';

const MEMORY_LIMIT_BYTES = 2 * 2 ** 30;

/** The indexes that 007 would build on this many rows: each of the old ones made over, or one where there was none. */
export function planVectorIndexes(
  facts: PlanFacts,
  definition: MigrationDefinition,
  target: VectorTarget,
  distance: Distance,
): PlannedVectorIndex[] {
  const { kind: asked } = definition.index;
  if (asked === 'none') return [];
  const choose = (kind: VectorIndexKind): VectorIndexChoice =>
    chooseVectorIndex({ ...definition.index, kind }, facts.rowsEstimate, definition.dimensions, MEMORY_LIMIT_BYTES);
  if (facts.annIndexes.length === 0) {
    const kind = asked ?? DEFAULT_KIND;
    const choice = choose(kind);
    const name = fitIdentifier(`${facts.table.name}_${definition.column}`, `_${kind}_idx`);
    return [planned(name, choice, vectorIndexDefinition(target, choice, distance), facts, target)];
  }
  const from = { column: definition.column, dimensions: facts.oldDimensions ?? 0 };
  return facts.annIndexes.map((index) => {
    const old = parseIndexDefinition(index.definition);
    const choice = keepOldOptions(choose(kindInPlaceOf(old, from.column, asked)), old);
    const made = retargetVectorIndex(index.definition, { from, target, choice, distance: definition.index.distance });
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
  return {
    name,
    kind: choice.kind,
    lists: choice.lists,
    probes: choice.probes,
    efSearch: choice.efSearch,
    sql: createIndexSql(target, buildingIndexName(name), definition),
    buildMemoryBytes: choice.lists === undefined ? undefined : ivfflatMemoryBytes(choice.lists, target.dimensions),
    bytes: indexBytes(choice.kind, facts.rowsEstimate, target),
    notice: choice.notice,
  };
}
