import type { TableInfo } from '../db/catalog-types.ts';
import { keptIndexName } from '../sql/exchange.ts';
import { type IndexDefinition, parseIndexDefinition, retargetExpression } from '../sql/index-definition.ts';
import { partitionIndexName } from '../sql/partitioned-index.ts';
import type { VectorTarget } from '../sql/target.ts';
import { ivfflatMemoryBytes } from '../sql/vector-index.ts';
import type { MigrationContext } from '../state/context.ts';
import { type MigrationRecord, type SavedIndex, updateRecord } from '../state/records.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import { buildIndex } from './build-index.ts';
import { buildPartitionedIndex } from './build-partitioned-index.ts';

/**
 * Before an exchange back onto a column that came back from its backup: the indexes that were dropped with it are built again, CONCURRENTLY
 * and under the names that the exchange takes back. Those that 005 dropped stay so, until its down.
 *
 * @throws InterruptedError when the signal aborts; what is built is found again
 */
export async function buildKeptIndexes(
  ctx: MigrationContext,
  { record, table }: Pick<ResolvedMigration, 'record' | 'table'>,
  kept: VectorTarget,
): Promise<void> {
  // Of a partitioned table only the whole ones: what a partition had alone is not known by its partition.
  const isLost = ({ gone, partitions }: SavedIndex): boolean =>
    gone === true && (table.kind === 'p') === (partitions !== undefined);
  const lost = record.oldIndexes.filter(isLost);
  if (lost.length === 0) return;
  for (const index of lost) await buildOne(ctx, record, table, kept, index);
  const oldIndexes = record.oldIndexes.map((index) => (isLost(index) ? named(index) : index));
  await updateRecord(ctx.db, ctx.runtime.stateSchema, record.id, { oldIndexes });
}

/** As the swap would have named it. */
function named({ partitions, gone: _gone, ...index }: SavedIndex): SavedIndex {
  const parts = partitions?.map((part) => ({ ...part, keptName: keptIndexName(part.name) }));
  return { ...index, keptName: keptIndexName(index.name), ...(parts === undefined ? {} : { partitions: parts }) };
}

async function buildOne(
  ctx: MigrationContext,
  record: MigrationRecord,
  table: TableInfo,
  kept: VectorTarget,
  index: SavedIndex,
): Promise<void> {
  const step = 'cut-over';
  const label = index.name;
  const name = keptIndexName(index.name);
  const retargeted = (sql: string) => onKept(sql, record.column, kept);
  ctx.onProgress({ kind: 'step', step, message: `Building the old index ${label} again` });
  const whole = retargeted(index.definition);
  if (index.partitions === undefined) {
    await buildIndex(ctx, { schema: index.schema, table: table.name, name, label, step, ...whole });
    return;
  }
  await buildPartitionedIndex(ctx, {
    table,
    name,
    label,
    definition: whole.definition,
    partition: (partition) => {
      const saved = index.partitions?.find((part) => part.schema === partition.schema && part.table === partition.name);
      const own = saved?.name ?? partitionIndexName(table.name, partition.name, index.name);
      return { name: keptIndexName(own), ...(saved === undefined ? whole : retargeted(saved.definition)) };
    },
    step,
  });
}

function onKept(sql: string, column: string, kept: VectorTarget) {
  const { keys, include, predicate, ...rest } = parseIndexDefinition(sql);
  const { dimensions } = kept;
  const moved = (part: string): string =>
    retargetExpression(part, { column, dimensions }, { column: kept.column, dimensions });
  const definition: IndexDefinition = {
    ...rest,
    keys: moved(keys),
    include: include === undefined ? undefined : moved(include),
    predicate: predicate === undefined ? undefined : moved(predicate),
  };
  const lists = Number(rest.options.lists ?? 0);
  return { definition, memoryBytes: lists === 0 ? undefined : ivfflatMemoryBytes(lists, dimensions) };
}
