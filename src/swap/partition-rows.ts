import { readIndexes } from '../db/catalog.ts';
import type { PartitionIndex } from '../db/catalog-types.ts';
import { readPartitions } from '../db/partitions.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { tableSql } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import type { ResolvedMigration } from '../state/resolve.ts';

/** Rows with a new vector by the OID of their partition, those without any among them; `predicate` is that of a partial index. */
export async function countByPartition(
  ctx: MigrationContext,
  { table, target }: Pick<ResolvedMigration, 'table' | 'target'>,
  predicate: string | undefined,
): Promise<ReadonlyMap<number, number>> {
  const partitions = await readPartitions(ctx.db, table.oid);
  const where = `${quoteIdentifier(target.column)} IS NOT NULL${predicate === undefined ? '' : ` AND (${predicate})`}`;
  const { rows } = await ctx.db.query<{ oid: number; count: number }>(
    `SELECT tableoid AS oid, pg_catalog.count(*)::float8 AS count FROM ${tableSql(target)} WHERE ${where} GROUP BY tableoid`,
  );
  const counts = new Map(rows.map(({ oid, count }) => [oid, count]));
  return new Map(partitions.filter(({ kind }) => kind !== 'p').map(({ oid }) => [oid, counts.get(oid) ?? 0]));
}

/** Approximate indexes that somebody made on partitions one by one: nothing on the whole table tells of them. */
export async function looseVectorIndexes(
  ctx: MigrationContext,
  { record, table }: Pick<ResolvedMigration, 'record' | 'table'>,
): Promise<PartitionIndex[]> {
  if (table.kind !== 'p') return [];
  const partitions = await readPartitions(ctx.db, table.oid);
  const indexes = await readIndexes(
    ctx.db,
    partitions.map(({ oid }) => oid),
  );
  return indexes.filter((index) => isLoose(index, record.column));
}

export function isLoose(index: PartitionIndex, column: string): boolean {
  const isVector = index.method === 'ivfflat' || index.method === 'hnsw';
  return index.parentOid === null && index.valid && isVector && index.columns.includes(column);
}
