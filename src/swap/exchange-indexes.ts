import type { TableInfo } from '../db/catalog-types.ts';
import { buildingIndexName, keptIndexName } from '../sql/exchange.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import type { MigrationRecord, SavedIndex } from '../state/records.ts';
import {
  type IndexTree,
  renameIndexSql,
  restorePartNames,
  savedParts,
  swapPartNames,
} from './partition-index-names.ts';

export interface IndexExchange {
  readonly statements: readonly string[];
  readonly oldIndexes: readonly SavedIndex[];
  /** Names of old indexes that nothing was built for. */
  readonly unreplaced: readonly string[];
}

/** Statements after which the new indexes have the old ones' names, and the record's list of old indexes by then. */
export function swapIndexNames(
  table: TableInfo,
  record: MigrationRecord,
  keepOld: boolean,
  tree: IndexTree,
): IndexExchange {
  const parts = swapPartNames(tree, table, record, keepOld);
  const names = new Set(table.indexes.map((index) => index.name));
  const old = table.indexes.filter(
    (index) => index.valid && !index.backsConstraint && index.columns.includes(record.column),
  );
  const wanted = new Set([...old.map((index) => index.name), ...record.newIndexes.map((index) => index.name)]);
  const built = [...wanted].filter((name) => names.has(buildingIndexName(name)));
  const saved = old.map((index): SavedIndex => {
    const { name, schema, method, definition } = index;
    const kept = keepOld ? { keptName: keptIndexName(name) } : {};
    const partitions = table.kind === 'p' ? { partitions: savedParts(tree, index.oid, keepOld) } : {};
    return { name, schema, method, definition, dropped: false, ...kept, ...partitions };
  });
  const replaced = [...saved, ...parts.alone];
  return {
    statements: [
      ...parts.statements,
      ...(keepOld ? old.map((index) => renameIndexSql(table.schema, index.name, keptIndexName(index.name))) : []),
      ...built.map((name) => renameIndexSql(table.schema, buildingIndexName(name), name)),
    ],
    oldIndexes: [
      ...record.oldIndexes.filter((index) => !replaced.some((live) => live.name === index.name)),
      ...replaced,
    ],
    unreplaced: old.map((index) => index.name).filter((name) => !built.includes(name)),
  };
}

/** The way back: the indexes that the swap built go, the kept ones take their names again. */
export function restoreIndexNames(table: TableInfo, record: MigrationRecord, tree: IndexTree): IndexExchange {
  const names = new Set(table.indexes.map((index) => index.name));
  const kept = record.oldIndexes.filter((index) => index.keptName !== undefined && names.has(index.keptName));
  const built = new Set([...kept.map((index) => index.name), ...record.newIndexes.map((index) => index.name)]);
  const dropped = table.indexes.filter((index) => built.has(index.name) && index.columns.includes(record.column));
  return {
    statements: [
      ...dropped.map((index) => `DROP INDEX ${quoteQualified(table.schema, index.name)}`),
      ...kept.map((index) => renameIndexSql(table.schema, index.keptName ?? '', index.name)),
      ...restorePartNames(tree, record),
    ],
    oldIndexes: record.oldIndexes.map(({ keptName: _kept, partitions, ...index }) => ({
      ...index,
      ...(partitions === undefined ? {} : { partitions: partitions.map(({ keptName: _name, ...part }) => part) }),
    })),
    unreplaced: [],
  };
}
