import { readIndexes } from '../db/catalog.ts';
import type { PartitionIndex, TableInfo } from '../db/catalog-types.ts';
import { type Partition, readPartitions } from '../db/partitions.ts';
import type { Queryable } from '../db/types.ts';
import { buildingIndexName, keptIndexName } from '../sql/exchange.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { parseIndexDefinition } from '../sql/index-definition.ts';
import { partitionIndexName } from '../sql/partitioned-index.ts';
import { distanceOf } from '../sql/vector-index.ts';
import type { MigrationRecord, SavedIndex, SavedPartIndex } from '../state/records.ts';
import { isLoose } from './partition-rows.ts';

/** The partitions of a table with all their indexes; empty for an ordinary table. */
export interface IndexTree {
  readonly partitions: readonly Partition[];
  readonly indexes: readonly PartitionIndex[];
}

const NO_PARTITIONS: IndexTree = { partitions: [], indexes: [] };

export async function readIndexTree(db: Queryable, table: Pick<TableInfo, 'oid' | 'kind'>): Promise<IndexTree> {
  if (table.kind !== 'p') return NO_PARTITIONS;
  const partitions = await readPartitions(db, table.oid);
  const oids = partitions.map(({ oid }) => oid);
  return { partitions, indexes: await readIndexes(db, oids) };
}

/** The parts of an index of the whole table, by the OID of their partition. */
export function partsOf(tree: IndexTree, topOid: number): ReadonlyMap<number, PartitionIndex> {
  const parts = new Map<number, PartitionIndex>();
  const found = new Set([topOid]);
  // Upper levels come first.
  for (const { oid } of tree.partitions) {
    const part = tree.indexes.find(
      (index) => index.tableOid === oid && index.parentOid !== null && found.has(index.parentOid),
    );
    if (part === undefined) continue;
    parts.set(oid, part);
    found.add(part.oid);
  }
  return parts;
}

export interface PartName {
  /** What it is called in the end. */
  readonly name: string;
  /** The part of the old index that it takes the place of. */
  readonly old: PartitionIndex | undefined;
}

/**
 * Says what the parts of a new index are called in the end: as those of the old one, as the index that somebody made on the partition alone, or
 * after the whole.
 */
export function namesOfParts(
  tree: IndexTree,
  table: TableInfo,
  record: MigrationRecord,
  index: { readonly name: string; readonly definition: string },
): (partition: Partition) => PartName {
  const { distance, whole } = { distance: distanceIn(index.definition), whole: wholeOf(table, record, index.name) };
  const parts = whole === undefined ? new Map<number, PartitionIndex>() : partsOf(tree, whole.oid);
  const saved = record.oldIndexes.find(({ name }) => name === index.name)?.partitions ?? [];
  return (partition) => {
    const alone = tree.indexes.find(
      (candidate) =>
        candidate.tableOid === partition.oid &&
        isLoose(candidate, record.column) &&
        distanceIn(candidate.definition) === distance,
    );
    const old = whole === undefined ? alone : parts.get(partition.oid);
    const dropped = saved.find(({ schema, table: name }) => schema === partition.schema && name === partition.name);
    const name = old?.name ?? dropped?.name ?? partitionIndexName(table.name, partition.name, index.name);
    return { name, old };
  };
}

function wholeOf(table: TableInfo, record: MigrationRecord, name: string): TableInfo['indexes'][number] | undefined {
  return table.indexes.find((index) => index.name === name && index.columns.includes(record.column));
}

function distanceIn(definition: string): string {
  const parsed = parseIndexDefinition(definition);
  return parsed.method === 'ivfflat' || parsed.method === 'hnsw' ? (distanceOf(parsed) ?? parsed.keys) : parsed.keys;
}

export interface PartExchange {
  readonly statements: readonly string[];
  /** Indexes of partitions alone, which no index of the whole table stands for. */
  readonly alone: readonly SavedIndex[];
}

/** Statements after which the parts of the new indexes have the old ones' names; run before the names of the whole are exchanged. */
export function swapPartNames(
  tree: IndexTree,
  table: TableInfo,
  record: MigrationRecord,
  keepOld: boolean,
): PartExchange {
  const statements: string[] = [];
  const alone: SavedIndex[] = [];
  const keep = (old: PartitionIndex): void => {
    if (keepOld) statements.push(renameIndexSql(old.schema, old.name, keptIndexName(old.name)));
  };
  for (const whole of oldWholes(table, record)) for (const old of partsOf(tree, whole.oid).values()) keep(old);
  for (const whole of table.indexes) {
    const name = namedBy(table, record, whole.name);
    if (name === undefined) continue;
    const nameOf = namesOfParts(tree, table, record, { name, definition: whole.definition });
    const parts = partsOf(tree, whole.oid);
    for (const partition of tree.partitions) {
      const part = parts.get(partition.oid);
      if (part === undefined) continue;
      const { name: wanted, old } = nameOf(partition);
      if (old?.parentOid === null) {
        keep(old);
        const { schema, method, definition } = old;
        const kept = keepOld ? { keptName: keptIndexName(old.name) } : {};
        alone.push({ name: old.name, schema, method, definition, dropped: false, ...kept });
      }
      // One that Postgres named, for a partition that came meanwhile, keeps its name where there is no old one.
      if (old === undefined && part.name !== buildingIndexName(wanted)) continue;
      statements.push(renameIndexSql(part.schema, part.name, wanted));
    }
  }
  return { statements, alone };
}

/** The final name of a new index by the one under which it was built; undefined for all others. */
function namedBy(table: TableInfo, record: MigrationRecord, building: string): string | undefined {
  const wanted = [...oldWholes(table, record), ...record.newIndexes].map(({ name }) => name);
  return wanted.find((name) => buildingIndexName(name) === building);
}

function oldWholes(table: TableInfo, record: MigrationRecord): TableInfo['indexes'] {
  return table.indexes.filter(
    (index) => index.valid && !index.backsConstraint && index.columns.includes(record.column),
  );
}

/** The parts of an old index as the record keeps them; `keptName` where they have one from now on. */
export function savedParts(tree: IndexTree, topOid: number, kept: boolean): readonly SavedPartIndex[] {
  const parts = partsOf(tree, topOid);
  return tree.partitions.flatMap(({ oid, schema, name: table }) => {
    const part = parts.get(oid);
    if (part === undefined) return [];
    const { name, definition } = part;
    return [{ schema, table, name, definition, ...(kept ? { keptName: keptIndexName(name) } : {}) }];
  });
}

/** The way back of kept parts, and of kept indexes of partitions alone. */
export function restorePartNames(tree: IndexTree, record: MigrationRecord): string[] {
  const has = (schema: string, name: string): boolean =>
    tree.indexes.some((index) => index.schema === schema && index.name === name);
  const kept = record.oldIndexes.flatMap((index) => [index, ...(index.partitions ?? [])]);
  return kept.flatMap(({ schema, name, keptName }) =>
    keptName !== undefined && has(schema, keptName) ? [renameIndexSql(schema, keptName, name)] : [],
  );
}

export function renameIndexSql(schema: string, from: string, to: string): string {
  return `ALTER INDEX ${quoteQualified(schema, from)} RENAME TO ${quoteIdentifier(to)}`;
}
