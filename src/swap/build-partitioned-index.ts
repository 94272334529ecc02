import { readIndexes } from '../db/catalog.ts';
import type { PartitionIndex, TableInfo } from '../db/catalog-types.ts';
import { type Partition, readPartitions } from '../db/partitions.ts';
import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Queryable } from '../db/types.ts';
import { BusyError, type Step } from '../errors.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { createIndexSql, type IndexDefinition, isSameIndex, parseIndexDefinition } from '../sql/index-definition.ts';
import { attachIndexSql } from '../sql/partitioned-index.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { buildIndex } from './build-index.ts';
import { withBriefLocks, withTableLock } from './lock-table.ts';

/** Partitions come and go while indexes are built; each round looks for those that have none yet. */
const ROUNDS = 5;

/** An index of one partition. */
export interface PartitionBuild {
  readonly name: string;
  readonly definition: IndexDefinition;
  readonly memoryBytes: number | undefined;
}

export interface PartitionedBuild {
  readonly table: Pick<TableInfo, 'oid' | 'schema' | 'name'>;
  /** The name of the whole under which it is built. */
  readonly name: string;
  /** The name for progress and notices. */
  readonly label: string;
  readonly definition: IndexDefinition;
  readonly partition: (partition: Partition) => PartitionBuild;
  readonly step: Step;
}

/**
 * Builds an index on a partitioned table, which CONCURRENTLY itself cannot: an invalid index on the table alone, one CONCURRENTLY on each
 * partition, attached to it; with the last one it is valid. From the first of these on Postgres gives every new partition its own. What an
 * interrupted run finished is kept.
 *
 * @throws BusyError `index_unfinished` when partitions keep changing; InterruptedError when the signal aborts
 */
export async function buildPartitionedIndex(ctx: MigrationContext, build: PartitionedBuild): Promise<void> {
  await ensureTop(ctx, build);
  for (let round = 1; round <= ROUNDS; round++) {
    const partitions = await readPartitions(ctx.db, build.table.oid);
    for (const partition of partitions) {
      throwIfStopped(ctx, build.step);
      await ensurePartition(ctx, build, partition);
    }
    if ((await readTop(ctx, build))?.valid === true) return;
  }
  await dropPartitionedIndex(ctx, build.table, build.name, build.step);
  throw new BusyError(
    'index_unfinished',
    `The index ${build.label} of ${build.table.schema}.${build.table.name} did not become valid: its partitions changed in each of ${ROUNDS} rounds.`,
    {
      step: build.step,
      hint: 'Attach and detach partitions before or after the migration, then run the same command again.',
    },
  );
}

/** DROP INDEX of a partitioned table's index, with those of its partitions: it has no CONCURRENTLY, and takes moments only. */
export async function dropPartitionedIndex(
  ctx: MigrationContext,
  table: Pick<TableInfo, 'oid' | 'schema' | 'name'>,
  name: string,
  step: Step,
): Promise<void> {
  await withTableLock(ctx, table, step, (tx) => tx.query(`DROP INDEX IF EXISTS ${quoteQualified(table.schema, name)}`));
}

async function readTop(ctx: MigrationContext, build: PartitionedBuild): Promise<PartitionIndex | undefined> {
  const indexes = await readIndexes(ctx.db, [build.table.oid]);
  return indexes.find((index) => index.name === build.name);
}

async function ensureTop(ctx: MigrationContext, build: PartitionedBuild): Promise<void> {
  const existing = await readTop(ctx, build);
  if (existing !== undefined) {
    if (isSameButLists(existing, build.definition) && !(await hasBrokenPart(ctx, build))) return;
    await dropPartitionedIndex(ctx, build.table, build.name, build.step);
  }
  const table = { schema: build.table.schema, table: build.table.name };
  await withBriefLocks(ctx, build.table, build.step, async (tx) => {
    if ((await readIndexes(tx, [build.table.oid])).some((index) => index.name === build.name)) return;
    await tx.query(createIndexSql(table, build.name, build.definition, 'only'));
  });
}

/** How many lists a partition has was right for the rows that it had: an interrupted run's are good enough. */
function isSameButLists(existing: PartitionIndex, wanted: IndexDefinition): boolean {
  const present = parseIndexDefinition(existing.definition);
  return isSameIndex({ ...present, options: { ...present.options, ...listsOf(wanted) } }, wanted);
}

function listsOf({ options }: IndexDefinition): Readonly<Record<string, string>> {
  return options.lists === undefined ? {} : { lists: options.lists };
}

/** An attached part that is invalid can neither be dropped nor replaced by itself. */
async function hasBrokenPart(ctx: MigrationContext, build: PartitionedBuild): Promise<boolean> {
  const partitions = await readPartitions(ctx.db, build.table.oid);
  const leaves = new Set(partitions.filter(({ kind }) => kind !== 'p').map(({ oid }) => oid));
  const indexes = await readIndexes(ctx.db, [build.table.oid, ...partitions.map(({ oid }) => oid)]);
  const below = new Set(
    indexes.filter((index) => index.name === build.name && index.tableOid === build.table.oid).map(({ oid }) => oid),
  );
  for (let size = 0; size < below.size; ) {
    size = below.size;
    for (const index of indexes) if (index.parentOid !== null && below.has(index.parentOid)) below.add(index.oid);
  }
  return indexes.some((index) => below.has(index.oid) && leaves.has(index.tableOid) && !index.valid);
}

async function ensurePartition(ctx: MigrationContext, build: PartitionedBuild, partition: Partition): Promise<void> {
  const parent = await readParentIndex(ctx.db, build, partition);
  // Detached meanwhile with what it was a part of, or covered by Postgres itself.
  if (parent === undefined || (await isCovered(ctx.db, partition, parent))) return;
  const part = build.partition(partition);
  try {
    if (partition.kind !== 'p') {
      await buildIndex(ctx, {
        schema: partition.schema,
        table: partition.name,
        name: part.name,
        label: `${build.label} of ${partition.name}`,
        definition: part.definition,
        memoryBytes: part.memoryBytes,
        step: build.step,
      });
    }
    await withBriefLocks(ctx, partition, build.step, async (tx) => {
      if (await isCovered(tx, partition, parent)) return;
      const table = { schema: partition.schema, table: partition.name };
      if (partition.kind === 'p') await tx.query(createIndexSql(table, part.name, part.definition, 'only'));
      await tx.query(attachIndexSql(parent, { schema: partition.schema, name: part.name }));
    });
  } catch (error) {
    const gone = sqlStateOf(error) === SQLSTATE.undefinedTable;
    const still = await readPartitions(ctx.db, build.table.oid);
    if (!gone && still.some(({ oid }) => oid === partition.oid)) throw error;
  }
}

/** The index of the same family on the table above: the top one, or the one that was attached on the way down. */
async function readParentIndex(
  db: Queryable,
  build: PartitionedBuild,
  partition: Partition,
): Promise<PartitionIndex | undefined> {
  const partitions = await readPartitions(db, build.table.oid);
  const path: number[] = [];
  for (let oid = partition.parentOid; oid !== build.table.oid; ) {
    const above = partitions.find((candidate) => candidate.oid === oid);
    if (above === undefined) return undefined;
    path.unshift(oid);
    oid = above.parentOid;
  }
  let index = (await readIndexes(db, [build.table.oid])).find(({ name }) => name === build.name);
  for (const oid of path) {
    const top = index?.oid;
    index = (await readIndexes(db, [oid])).find(({ parentOid }) => parentOid === top);
  }
  return index;
}

async function isCovered(db: Queryable, partition: Partition, parent: PartitionIndex): Promise<boolean> {
  return (await readIndexes(db, [partition.oid])).some(({ parentOid }) => parentOid === parent.oid);
}
