import type { TableInfo } from '../db/catalog-types.ts';
import { buildingIndexName } from '../sql/exchange.ts';
import { createIndexSql } from '../sql/index-definition.ts';
import type { MigrationContext } from '../state/context.ts';
import { type NewIndex, updateRecord } from '../state/records.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import { buildIndex } from './build-index.ts';
import { buildPartitionedIndex } from './build-partitioned-index.ts';
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
  for (const index of planned) {
    if (index.notice !== undefined) ctx.onProgress({ kind: 'notice', message: index.notice });
    await (index.partition === undefined ? buildOne(ctx, table, index) : buildOnPartitions(ctx, resolved, index));
  }
  const newIndexes = planned.flatMap((index) => (index.record === undefined ? [] : [index.record]));
  await updateRecord(ctx.db, ctx.runtime.stateSchema, record.id, { newIndexes });
  return newIndexes;
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
