import { readTable, readVectorExtension } from '../db/catalog.ts';
import type { IndexInfo, TableInfo } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import { PreflightError } from '../errors.ts';
import { assertPreflight, preflight } from '../inspect/preflight.ts';
import { addTargetColumnsSql, dropTargetColumnsSql } from '../sql/columns.ts';
import { tableTreeSql } from '../sql/relation-size.ts';
import { provenanceOf, type VectorTarget } from '../sql/target.ts';
import { createTriggerSql, dropTriggerSql } from '../sql/trigger.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { readText, recordedText } from '../state/read-text.ts';
import { deleteRecord, insertRecord, type MigrationRecord, type SavedIndex } from '../state/records.ts';
import { findRecord, newVectorTarget } from '../state/resolve.ts';
import { dropUnusedState, ensureStateSchema } from '../state/schema.ts';
import { dropOldIndexes } from '../swap/drop-old-indexes.ts';
import { withTableLock } from '../swap/lock-table.ts';
import { readIndexTree, savedParts } from '../swap/partition-index-names.ts';
import { assertSameDefinition, refuseOtherTable } from './definition-change.ts';
import { withLease } from './with-lease.ts';

const ANN_METHODS: ReadonlySet<string> = new Set(['ivfflat', 'hnsw']);

export interface ExpandResult {
  readonly step: 'expand';
  readonly changed: boolean;
  readonly table: string;
  readonly target: string;
}

/**
 * 005 up: checks everything that can be checked before money is spent, then adds the new column with its provenance, the trigger
 * and the migration's record in one transaction. Idempotent.
 *
 * @throws PreflightError with all that stands in the way; nothing was changed then
 */
export async function expand(ctx: MigrationContext): Promise<ExpandResult> {
  const { created } = await ensureStateSchema(ctx.db, ctx.runtime.stateSchema).catch(async (error: unknown) => {
    // Without the state schema the table's own problems are still worth telling in the same breath.
    assertPreflight(await preflight(ctx));
    throw error;
  });
  try {
    return await withLease(ctx, 'expand', ({ ctx: leased }) => expandLeased(leased));
  } catch (error) {
    if (created && error instanceof PreflightError) await dropUnusedState(ctx.db, ctx.runtime.stateSchema);
    throw error;
  }
}

async function expandLeased(ctx: MigrationContext): Promise<ExpandResult> {
  const { definition } = ctx;
  ctx.onProgress({ kind: 'step', step: 'expand', message: 'Checking the table and the rights' });
  const record = await reconcileRecord(ctx);
  if (record !== undefined && record.active === 'new') return result(record, false);
  assertPreflight(await preflight(ctx));
  if (record === undefined) await addColumns(ctx);
  const fresh = record ?? (await findRecord(ctx));
  if (fresh === undefined) throw new Error(`the record of ${definition.id} is gone`);
  if (definition.oldIndex === 'drop') await dropOldIndexes(ctx, fresh);
  return result(fresh, record === undefined);
}

function result(record: MigrationRecord, changed: boolean): ExpandResult {
  return { step: 'expand', changed, table: `${record.schema}.${record.table}`, target: record.target };
}

/** The record, unless the catalog no longer bears it out: the table was made anew, or the column was dropped by hand. */
async function reconcileRecord(ctx: MigrationContext): Promise<MigrationRecord | undefined> {
  const record = await findRecord(ctx);
  if (record === undefined) return undefined;
  const table = await readTable(ctx.db, ctx.definition.table);
  if (table.oid === record.tableOid && isBorneOut(record, table)) {
    await assertSameDefinition(ctx, record, table, 'expand');
    return record;
  }
  if (table.oid !== record.tableOid) await refuseOtherTable(ctx, record, table);
  ctx.onProgress({
    kind: 'warning',
    message: `The state knows "${record.id}" on a table or column that is gone; starting again from the catalog.`,
  });
  await ctx.db.transaction(async (tx) => {
    if (table.oid === record.tableOid && record.active === 'old') {
      const { stateSchema } = ctx.runtime;
      await dropLeftover(tx, newVectorTarget(record, table, await readVectorExtension(tx), stateSchema), record.id);
    }
    await deleteRecord(tx, ctx.runtime.stateSchema, record.id);
  });
  return undefined;
}

/** All that 005 made is there; after the swap the column itself is enough. */
function isBorneOut(record: MigrationRecord, table: TableInfo): boolean {
  const has = (name: string): boolean => table.columns.some((column) => column.name === name);
  if (record.active === 'new') return has(record.column);
  return [record.target, ...Object.values(provenanceOf(record.target))].every(has);
}

async function addColumns(ctx: MigrationContext): Promise<void> {
  const { definition, runtime } = ctx;
  const table = await readTable(ctx.db, definition.table);
  const extension = await readVectorExtension(ctx.db);
  const text = recordedText(await readText(ctx, table));
  const target = newVectorTarget({ ...definition, ...text, active: 'old' }, table, extension, runtime.stateSchema);
  ctx.onProgress({ kind: 'step', step: 'expand', message: `Adding ${table.schema}.${table.name}.${target.column}` });
  await withTableLock(ctx, table, 'expand', async (tx) => {
    // A COMMIT whose answer was lost has happened all the same.
    if ((await findRecord(ctx, tx)) !== undefined) return;
    if (hasColumn(table, target.column)) await dropLeftover(tx, target, definition.id);
    for (const statement of addTargetColumnsSql(target)) await tx.query(statement);
    await createTrigger(tx, target, definition.id, table.oid);
    await insertRecord(tx, runtime.stateSchema, {
      id: definition.id,
      tableOid: table.oid,
      schema: table.schema,
      table: table.name,
      ...text,
      column: definition.column,
      target: definition.target,
      dimensions: definition.dimensions,
      vectorType: definition.vectorType,
      definition: { ...definition },
      oldIndexes: await savedIndexes(tx, table, definition.column),
    });
    await recordEvent(tx, runtime.stateSchema, definition.id, 'expanded', { target: target.column });
  });
}

/** Columns of ours whose state was dropped, or of which some are gone: what their vectors are from is not known any more. */
async function dropLeftover(db: Queryable, target: VectorTarget, id: string): Promise<void> {
  for (const statement of dropTriggerSql(target, id)) await db.query(statement);
  await db.query(dropTargetColumnsSql(target));
}

/** (Re)creates the trigger; on a logical subscriber it must also fire for replicated changes. */
export async function createTrigger(db: Queryable, target: VectorTarget, id: string, tableOid: number): Promise<void> {
  const { rows } = await db.query(
    `SELECT 1 FROM pg_catalog.pg_subscription_rel WHERE srrelid IN ${tableTreeSql('$1::oid')} LIMIT 1`,
    [tableOid],
  );
  for (const statement of createTriggerSql(target, id, { always: rows.length > 0 })) await db.query(statement);
}

function hasColumn(table: TableInfo, name: string): boolean {
  const names = new Set(table.columns.map((column) => column.name));
  return names.has(name) && names.has(provenanceOf(name).model);
}

function annIndexes(table: TableInfo, column: string): IndexInfo[] {
  return table.indexes.filter((index) => ANN_METHODS.has(index.method) && index.columns.includes(column));
}

async function savedIndexes(tx: Queryable, table: TableInfo, column: string): Promise<SavedIndex[]> {
  const tree = await readIndexTree(tx, table);
  return annIndexes(table, column).map(({ oid, name, schema, method, definition }) => ({
    name,
    schema,
    method,
    definition,
    dropped: false,
    ...(table.kind === 'p' ? { partitions: savedParts(tree, oid, false) } : {}),
  }));
}
