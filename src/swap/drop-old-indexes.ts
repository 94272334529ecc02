import type { TableInfo } from '../db/catalog-types.ts';
import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Session } from '../db/types.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { parseIndexDefinition } from '../sql/index-definition.ts';
import { partitionIndexName } from '../sql/partitioned-index.ts';
import { ivfflatMemoryBytes } from '../sql/vector-index.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { type MigrationRecord, type SavedIndex, updateRecord } from '../state/records.ts';
import { buildPartitionedIndex, dropPartitionedIndex } from './build-partitioned-index.ts';

/** Drops the old column's ANN indexes without blocking anybody; their definitions are in the record already. */
export async function dropOldIndexes(ctx: MigrationContext, record: MigrationRecord): Promise<void> {
  if (record.oldIndexes.every((index) => index.dropped)) return;
  const plain = record.oldIndexes.filter((index) => !isParted(index));
  for (const { name } of record.oldIndexes.filter(isParted)) {
    const table = { oid: record.tableOid, schema: record.schema, name: record.table };
    ctx.onProgress({ kind: 'step', step: 'expand', message: `Dropping the old index ${name}` });
    await dropPartitionedIndex(ctx, table, name, 'expand');
  }
  await withBuildSession(ctx, async (session) => {
    for (const index of plain) {
      ctx.onProgress({ kind: 'step', step: 'expand', message: `Dropping the old index ${index.name}` });
      await session.query(`DROP INDEX CONCURRENTLY IF EXISTS ${quoteQualified(index.schema, index.name)}`);
    }
  });
  await updateRecord(ctx.db, ctx.runtime.stateSchema, record.id, {
    oldIndexes: record.oldIndexes.map((index) => ({ ...index, dropped: true })),
  });
}

/** Builds again what `dropOldIndexes` dropped, from the saved definitions; a valid index of that name is left as it is. */
export async function rebuildOldIndexes(
  ctx: MigrationContext,
  record: MigrationRecord,
  table: TableInfo,
): Promise<void> {
  const missing = record.oldIndexes.filter((index) => {
    const present = table.indexes.find((candidate) => candidate.name === index.name);
    return index.dropped && present?.valid !== true;
  });
  for (const index of missing.filter(isParted)) await rebuildParted(ctx, index, record, table);
  const plain = missing.filter((index) => !isParted(index));
  if (plain.length === 0) return;
  await withBuildSession(ctx, async (session) => {
    for (const index of plain) {
      ctx.onProgress({ kind: 'step', step: 'expand', message: `Building the old index ${index.name} again` });
      await session.query(`DROP INDEX CONCURRENTLY IF EXISTS ${quoteQualified(index.schema, index.name)}`);
      await raiseBuildMemory(session, index, table.columns.find((column) => column.name === record.column)?.dimensions);
      await session.query(index.definition.replace(/^CREATE INDEX /, 'CREATE INDEX CONCURRENTLY '));
    }
  });
}

function isParted(index: SavedIndex): boolean {
  return index.partitions !== undefined;
}

/** Each partition's with the lists that it had; one that came since gets the whole's. */
async function rebuildParted(
  ctx: MigrationContext,
  index: SavedIndex,
  record: MigrationRecord,
  table: TableInfo,
): Promise<void> {
  ctx.onProgress({ kind: 'step', step: 'expand', message: `Building the old index ${index.name} again` });
  const dimensions = table.columns.find((column) => column.name === record.column)?.dimensions ?? 0;
  const whole = parseIndexDefinition(index.definition);
  await buildPartitionedIndex(ctx, {
    table,
    name: index.name,
    label: index.name,
    definition: whole,
    partition: ({ schema, name }) => {
      const saved = index.partitions?.find((part) => part.schema === schema && part.table === name);
      const definition = saved === undefined ? whole : parseIndexDefinition(saved.definition);
      const lists = Number(definition.options.lists ?? 0);
      const memoryBytes = lists === 0 ? undefined : ivfflatMemoryBytes(lists, dimensions);
      return { name: saved?.name ?? partitionIndexName(table.name, name, index.name), definition, memoryBytes };
    },
    step: 'expand',
  });
}

/** An IVFFlat build refuses to begin with less memory than its lists need, and 005 down must not fail on that. */
async function raiseBuildMemory(
  session: Session,
  index: SavedIndex,
  dimensions: number | null | undefined,
): Promise<void> {
  const lists = /lists\s*=\s*'?(\d+)/.exec(index.definition)?.[1];
  if (index.method !== 'ivfflat' || lists === undefined || !dimensions) return;
  const kilobytes = Math.ceil(ivfflatMemoryBytes(Number(lists), dimensions) / 1024);
  await session.query(
    `SELECT pg_catalog.set_config('maintenance_work_mem', greatest($1::bigint, pg_catalog.pg_size_bytes(
       pg_catalog.current_setting('maintenance_work_mem')) / 1024)::text || 'kB', false)`,
    [kilobytes],
  );
}

/** A session of its own without time limits; a CONCURRENTLY that is cut off leaves an invalid index behind, which the next run replaces. */
async function withBuildSession(ctx: MigrationContext, work: (session: Session) => Promise<void>): Promise<void> {
  throwIfStopped(ctx, 'expand');
  const session = await ctx.db.openSession();
  const cancel = (): void => {
    if (!ctx.db.embedded) ctx.db.query('SELECT pg_catalog.pg_cancel_backend($1)', [session.pid]).catch(() => undefined);
  };
  ctx.signal?.addEventListener('abort', cancel);
  try {
    await session.query('SET statement_timeout = 0');
    await session.query('SET lock_timeout = 0');
    await work(session);
  } catch (error) {
    if (sqlStateOf(error) === SQLSTATE.queryCanceled) throwIfStopped(ctx, 'expand');
    throw error;
  } finally {
    ctx.signal?.removeEventListener('abort', cancel);
    // On the embedded database every connection shares this session's settings.
    await session.query('RESET statement_timeout').catch(() => undefined);
    await session.query('RESET lock_timeout').catch(() => undefined);
    await session.query('RESET maintenance_work_mem').catch(() => undefined);
    await session.close();
  }
}
