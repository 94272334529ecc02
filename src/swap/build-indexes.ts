import type { TableInfo } from '../db/catalog-types.ts';
import { buildingIndexName } from '../sql/exchange.ts';
import { createIndexSql } from '../sql/index-definition.ts';
import type { MigrationContext } from '../state/context.ts';
import { type NewIndex, updateRecord } from '../state/records.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import { buildIndex } from './build-index.ts';
import { buildPartitionedIndex } from './build-partitioned-index.ts';
import { commentIndexSql, readIndexExtras } from './index-extras.ts';
import { namesOfParts, readIndexTree } from './partition-index-names.ts';
import { type PlannedIndex, planIndexes } from './plan-indexes.ts';
import { refuseUnfilled } from './refuse-unfilled.ts';

/**
 * Builds what the new column needs before the exchange, CONCURRENTLY and under temporary names: every index of the old column made over,
 * those that 005 dropped too, or one where there was none. A second run reuses what is built. Records the new indexes.
 *
 * @returns the ANN indexes by the names they get with the exchange
 * @throws PreflightError `not_indexable`, `column_unfilled`
 * @throws InterruptedError when the signal aborts; nothing INVALID is left
 */
export async function buildIndexes(ctx: MigrationContext, resolved: ResolvedMigration): Promise<readonly NewIndex[]> {
  const { record, table } = resolved;
  if (record.active === 'new') return record.newIndexes;
  const planned = await planIndexes(ctx, resolved);
  if (planned.some(({ record }) => record?.kind === 'ivfflat')) await refuseUnfilled(ctx, resolved.target, 'cut-over');
  for (const plan of planned) {
    const source = table.indexes.find(({ name }) => name === plan.name);
    const { comment, tablespace } = await readIndexExtras(ctx.db, source?.oid);
    const index = tablespace === undefined ? plan : placed(plan, tablespace);
    if (index.notice !== undefined) ctx.onProgress({ kind: 'notice', message: index.notice });
    await (index.partition === undefined ? buildOne(ctx, table, index) : buildOnPartitions(ctx, resolved, index));
    for (const sql of commentIndexSql(table.schema, buildingIndexName(index.name), comment)) await ctx.db.query(sql);
  }
  const newIndexes = planned.flatMap((index) => (index.record === undefined ? [] : [index.record]));
  await updateRecord(ctx.db, ctx.runtime.stateSchema, record.id, { newIndexes });
  return newIndexes;
}

/** The index, and those of partitions, in the tablespace of the one that it takes over from. */
function placed(index: PlannedIndex, tablespace: string): PlannedIndex {
  const within = <T extends Pick<PlannedIndex, 'definition'>>(part: T): T => ({
    ...part,
    definition: { ...part.definition, tablespace },
  });
  const { partition } = index;
  return {
    ...within(index),
    ...(partition === undefined ? {} : { partition: (oid: number) => within(partition(oid)) }),
  };
}

async function buildOne(ctx: MigrationContext, table: TableInfo, index: PlannedIndex): Promise<void> {
  await buildIndex(ctx, {
    schema: table.schema,
    table: table.name,
    name: buildingIndexName(index.name),
    label: index.name,
    definition: index.definition,
    memoryBytes: index.memoryBytes,
    step: 'cut-over',
  });
}

async function buildOnPartitions(
  ctx: MigrationContext,
  { record, table, target }: ResolvedMigration,
  index: PlannedIndex,
): Promise<void> {
  const tree = await readIndexTree(ctx.db, table);
  const definition = createIndexSql(target, index.name, index.definition);
  const nameOf = namesOfParts(tree, table, record, { name: index.name, definition });
  await buildPartitionedIndex(ctx, {
    table,
    name: buildingIndexName(index.name),
    label: index.name,
    definition: index.definition,
    partition: (partition) => {
      const own = partition.kind === 'p' ? index : (index.partition?.(partition.oid) ?? index);
      const { name } = nameOf(partition);
      return { name: buildingIndexName(name), definition: own.definition, memoryBytes: own.memoryBytes };
    },
    step: 'cut-over',
  });
}
