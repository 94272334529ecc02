import { addTargetColumnsSql } from '../sql/columns.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { provenanceOf, tableSql, type VectorTarget } from '../sql/target.ts';
import { createSwappedTriggerSql } from '../sql/trigger.ts';
import type { MigrationContext } from '../state/context.ts';
import { updateRecord } from '../state/records.ts';
import { isTriggerAlways } from './exchange-columns.ts';
import { withTableLock } from './lock-table.ts';
import type { RestorePlan } from './restore-plan.ts';

/**
 * Adds the column that a backup is restored into, nullable and without default. Old vectors that were dropped after a swap become the
 * migration's kept column again: the trigger watches it too and the swap can be undone.
 */
export async function addRestoredColumn(ctx: MigrationContext, plan: RestorePlan): Promise<void> {
  const { record, table, target } = plan;
  await withTableLock(ctx, table, 'restore', async (tx) => {
    for (const statement of columnStatements(target)) await tx.query(statement);
    if (record === undefined || !plan.becomesKept) return;
    const always = await isTriggerAlways(tx, table.oid, record.id);
    const { column, vectorType, dimensions } = record;
    const served = { ...target, column, vectorType, dimensions, provenance: provenanceOf(column) };
    for (const statement of createSwappedTriggerSql({ served, kept: target }, record.id, { always }))
      await tx.query(statement);
    await updateRecord(tx, ctx.runtime.stateSchema, record.id, {
      phase: 'swapped',
      keptColumn: target.column,
      finalizedAt: null,
      oldIndexes: record.oldIndexes.map((index) => (index.dropped ? index : { ...index, gone: true })),
    });
  });
}

function columnStatements(target: VectorTarget): string[] {
  if (target.provenance !== undefined) return addTargetColumnsSql(target);
  const type = quoteQualified(target.vectorSchema, target.vectorType);
  const declared = target.dimensions === 0 ? type : `${type}(${target.dimensions})`;
  return [`ALTER TABLE ${tableSql(target)} ADD COLUMN ${quoteIdentifier(target.column)} ${declared}`];
}
