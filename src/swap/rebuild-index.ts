import { readIndexes } from '../db/catalog.ts';
import type { PartitionIndex, TableInfo } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import type { Step } from '../errors.ts';
import { buildingIndexName } from '../sql/exchange.ts';
import { fitIdentifier } from '../sql/identifiers.ts';
import type { IndexDefinition } from '../sql/index-definition.ts';
import { partitionIndexName } from '../sql/partitioned-index.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { buildIndex, dropIndexConcurrently } from './build-index.ts';
import { buildPartitionedIndex, dropPartitionedIndex, type PartitionBuild } from './build-partitioned-index.ts';
import { commentIndexSql } from './index-extras.ts';
import { withBriefLocks } from './lock-table.ts';
import { partsOf, readIndexTree, renameIndexSql } from './partition-index-names.ts';

export interface IndexRebuild {
  readonly table: TableInfo;
  /** Before and after. */
  readonly name: string;
  readonly definition: IndexDefinition;
  readonly memoryBytes: number | undefined;
  /** That of a partition, by its OID. */
  readonly partition: (oid: number) => Omit<PartitionBuild, 'name'>;
  readonly comment: string | null;
  /** Drops the old one before the new one is built: for a disk that has no room for both. Not on a partitioned table. */
  readonly dropFirst: boolean;
  /** Runs in the transaction that gives the new index the name. */
  readonly exchanged: (tx: Queryable) => Promise<void>;
}

/** The name of the index that was, until it is dropped. */
function retiredIndexName(index: string): string {
  return fitIdentifier(index, '_reembed_before');
}

/**
 * Builds an index CONCURRENTLY beside the one of this name, exchanges the names in one short transaction, and drops the old one
 * CONCURRENTLY: searches have a valid index throughout. Stopped anywhere, one of the two is valid, and the same call goes on from there.
 *
 * @throws InterruptedError when the signal aborts; BusyError `table_locked`
 */
export async function rebuildIndex(ctx: MigrationContext, rebuild: IndexRebuild): Promise<void> {
  const { table, name, dropFirst } = rebuild;
  throwIfStopped(ctx, 'tune');
  if (dropFirst) await dropIndexConcurrently(ctx, table.schema, name);
  await (table.kind === 'p' ? buildParts(ctx, rebuild) : buildBeside(ctx, rebuild));
  await withBriefLocks(ctx, table, 'tune', (tx) => exchangeNames(tx, rebuild));
  await dropRetired(ctx, table, name);
}

/** Drops what a rebuild that never came to its exchange has built. */
export async function dropUnfinished(ctx: MigrationContext, table: TableInfo, name: string, step: Step): Promise<void> {
  const unfinished = buildingIndexName(name);
  if (!(await readIndexes(ctx.db, [table.oid])).some((index) => index.name === unfinished)) return;
  if (table.kind === 'p') await dropPartitionedIndex(ctx, table, unfinished, step);
  else await dropIndexConcurrently(ctx, table.schema, unfinished);
}

/** What a rebuild leaves to do after the exchange. */
export async function dropRetired(ctx: MigrationContext, table: TableInfo, name: string): Promise<void> {
  const retired = retiredIndexName(name);
  if (!(await readIndexes(ctx.db, [table.oid])).some((index) => index.name === retired)) return;
  ctx.onProgress({ kind: 'step', step: 'tune', message: `Dropping the former index ${name}` });
  if (table.kind === 'p') await dropPartitionedIndex(ctx, table, retired, 'tune');
  else await dropIndexConcurrently(ctx, table.schema, retired);
}

async function buildBeside(ctx: MigrationContext, rebuild: IndexRebuild): Promise<void> {
  const { table, name, definition, memoryBytes } = rebuild;
  await buildIndex(ctx, {
    schema: table.schema,
    table: table.name,
    name: buildingIndexName(name),
    label: name,
    definition,
    memoryBytes,
    step: 'tune',
  });
}

async function buildParts(ctx: MigrationContext, rebuild: IndexRebuild): Promise<void> {
  const { table, name } = rebuild;
  const tree = await readIndexTree(ctx.db, table);
  const whole = table.indexes.find((index) => index.name === name);
  const old = whole === undefined ? new Map<number, PartitionIndex>() : partsOf(tree, whole.oid);
  await buildPartitionedIndex(ctx, {
    table,
    name: buildingIndexName(name),
    label: name,
    definition: rebuild.definition,
    partition: (partition) => {
      const own = old.get(partition.oid)?.name ?? partitionIndexName(table.name, partition.name, name);
      return { name: buildingIndexName(own), ...rebuild.partition(partition.oid) };
    },
    step: 'tune',
  });
}

/** Only names change hands: readers of either index do not notice. Does nothing where an unanswered COMMIT has done it. */
async function exchangeNames(tx: Queryable, { table, name, comment, exchanged }: IndexRebuild): Promise<void> {
  const indexes = await readIndexes(tx, [table.oid]);
  const built = indexes.find((index) => index.name === buildingIndexName(name));
  if (built === undefined) return;
  const old = indexes.find((index) => index.name === name);
  const tree = await readIndexTree(tx, table);
  const oldParts = old === undefined ? new Map<number, PartitionIndex>() : partsOf(tree, old.oid);
  const statements = [
    ...(old === undefined ? [] : [renameIndexSql(old.schema, name, retiredIndexName(name))]),
    renameIndexSql(built.schema, built.name, name),
    ...[...oldParts.values()].map((part) => renameIndexSql(part.schema, part.name, retiredIndexName(part.name))),
    ...[...partsOf(tree, built.oid)].flatMap(([oid, part]) => {
      const before = oldParts.get(oid)?.name;
      return before === undefined ? [] : [renameIndexSql(part.schema, part.name, before)];
    }),
    ...commentIndexSql(built.schema, name, comment),
  ];
  await tx.query(statements.join(';\n'));
  await exchanged(tx);
}
