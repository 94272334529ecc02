import { readTableByOid } from '../db/catalog.ts';
import type { Queryable } from '../db/types.ts';
import { IntegrityError, PreflightError, type Step } from '../errors.ts';
import { plural } from '../plural.ts';
import { provenanceOf, type VectorTarget } from '../sql/target.ts';
import { createTriggerSql } from '../sql/trigger.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { clearRecheck, markRecheck, readRecheck } from '../state/recheck.ts';
import { updateRecord } from '../state/records.ts';
import { oldVectorTarget, type ResolvedMigration, resolveMigration } from '../state/resolve.ts';
import { buildKeptIndexes } from './build-kept-indexes.ts';
import { refuseBoundDependents } from './check-dependents.ts';
import { readColumnProperties } from './column-properties.ts';
import { exchangeColumnsSql, isTriggerAlways } from './exchange-columns.ts';
import { restoreIndexNames } from './exchange-indexes.ts';
import { finishExchange } from './finish-exchange.ts';
import { forgetEditedRows } from './forget-edited-rows.ts';
import { countMissing, hasNulls, missingOldVectors } from './missing-rows.ts';
import { readIndexTree } from './partition-index-names.ts';
import { acceptAfterStrictRounds, type ExchangeResult, type Left, NOTHING_DONE, settleExchange } from './settle.ts';

const ACCEPT_MISSING = 500;

export interface UndoOptions {
  /** Fills rows without an old vector by the old model; called outside any lock. */
  readonly fillMissing?: (() => Promise<unknown>) | undefined;
  /** Runs under the lock before anything is changed; a throw stops the exchange. */
  readonly guard?: (tx: Queryable) => Promise<void>;
}

/**
 * Goes back to the old column: the same exchange with the roles turned round. The indexes that the swap built go, the kept ones take
 * their names again, the record is `backfilled`. Where the old
 * column is in place it only does what an interrupted run left.
 *
 * @returns `stragglers`: rows without an old vector that were accepted
 * @throws IntegrityError `old_column_dropped`; `old_vectors_missing` when rows written since have no old vector and nothing fills them
 * @throws BusyError `table_locked`
 */
export async function undoExchange(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  options: UndoOptions = {},
): Promise<ExchangeResult> {
  const fresh = resolved.record.active === 'old' ? resolved : await resolveMigration(ctx);
  const { record, table } = fresh;
  if (record.active === 'old') {
    await finishUndo(ctx, 'cut-over', options.fillMissing);
    return NOTHING_DONE;
  }
  const kept = oldVectorTarget(record, table, fresh.extension, ctx.runtime.stateSchema);
  if (kept === undefined) throw oldColumnDropped(fresh);
  await refuseBoundDependents(ctx, table, record.column);
  refuseTakenTarget(fresh);
  const acceptAll = ctx.runtime.rollback === 'accept-missing';
  const missing = missingOldVectors(kept);
  // An exchange that will be refused needs no index.
  const refused = !acceptAll && options.fillMissing === undefined && (await countMissing(ctx.db, missing, 1)) > 0;
  if (!refused) await buildKeptIndexes(ctx, fresh, kept);
  const result = await settleExchange(ctx, table, {
    column: record.column,
    missing: async () => missing,
    catchUp: options.fillMissing,
    accept: acceptAll
      ? () => Number.MAX_SAFE_INTEGER - 1
      : acceptAfterStrictRounds(options.fillMissing === undefined ? 0 : ACCEPT_MISSING),
    guard: options.guard,
    becomes: 'old',
    keepsNotNull: async (tx) => !(await isNotNull(tx, fresh)) || !(await hasNulls(tx, missing)),
    apply: (tx, now, present, left) => applyUndo(ctx, tx, { ...fresh, table: now, record: present }, kept, left),
    refuse: (count) => oldVectorsMissing(fresh, count, options.fillMissing !== undefined),
  });
  ctx.onProgress({
    kind: 'notice',
    message: `"${record.column}" holds the old model's vectors again: everything that writes or searches it must return to the old model.`,
  });
  // Under steady writers a few rows may have come in with the exchange itself; after an unknown COMMIT nobody counted them.
  const fill = result.stragglers > 0 || result.attempts === 0;
  await finishUndo(ctx, 'cut-over', fill ? options.fillMissing : undefined);
  return result;
}

/**
 * What is left to do after the commit of an exchange back, or of a trigger made anew: constraints are validated, NOT NULL is restored,
 * rows edited meanwhile are pending again. Repeated until it is done; without a mark of it nothing is read.
 *
 * @param fillMissing gives rows their old vector; after an exchange back only
 * @throws BusyError `rows_locked`, `table_locked`; IntegrityError `check_violated`
 */
export async function finishUndo(
  ctx: MigrationContext,
  step: Step,
  fillMissing?: () => Promise<unknown>,
): Promise<void> {
  const { stateSchema } = ctx.runtime;
  const reason = await readRecheck(ctx.db, stateSchema, ctx.definition.id);
  if (reason === undefined) return;
  const resolved = await resolveMigration(ctx, { withoutText: step === 'expand' });
  if (resolved.record.active === 'new') return;
  // 005 down drops the new vectors, whatever text they are from.
  if (step !== 'expand') await forgetEditedRows(ctx, resolved, step);
  await finishExchange(ctx, resolved);
  if (reason === 'undo' && fillMissing !== undefined) {
    await fillMissing();
    await updateRecord(ctx.db, stateSchema, ctx.definition.id, { hasGaps: false });
  }
  await clearRecheck(ctx.db, stateSchema, ctx.definition.id);
}

/** The stand-in CHECK of an exchange that was not finished counts as NOT NULL. */
async function isNotNull(tx: Queryable, { record, table }: ResolvedMigration): Promise<boolean> {
  const now = await readTableByOid(tx, table.oid);
  const column = now.columns.find((candidate) => candidate.name === record.column);
  return column !== undefined && (await readColumnProperties(tx, now, column, record.id)).notNull;
}

/** What adapted vectors were mapped from has the application's name again. */
function adaptedFrom({ adapted }: VectorTarget, column: string): VectorTarget['adapted'] {
  if (adapted?.from === undefined) return adapted;
  const { provenance } = adapted.from;
  const from = { ...adapted.from, column, provenance: provenance && provenanceOf(column) };
  return { ...adapted, from };
}

async function applyUndo(
  ctx: MigrationContext,
  tx: Queryable,
  resolved: ResolvedMigration,
  kept: VectorTarget,
  { keepNotNull, missing }: Left,
): Promise<void> {
  const { record, table, target } = resolved;
  const { stateSchema } = ctx.runtime;
  const always = await isTriggerAlways(tx, table.oid, record.id);
  const columns = await exchangeColumnsSql(
    tx,
    table,
    {
      outgoing: { column: record.column, provenance: target.provenance },
      outgoingName: record.target,
      incoming: { column: kept.column, provenance: kept.provenance },
      keepNotNull,
    },
    record.id,
  );
  const indexes = restoreIndexNames(table, record, await readIndexTree(tx, table));
  const back = {
    ...target,
    column: record.target,
    provenance: provenanceOf(record.target),
    adapted: adaptedFrom(target, record.column),
  };
  const trigger = createTriggerSql(back, record.id, { always });
  await tx.query([...columns, ...indexes.statements, ...trigger].join(';\n'));
  await updateRecord(tx, stateSchema, record.id, {
    phase: 'backfilled',
    active: 'old',
    keptColumn: null,
    cursor: null,
    newIndexes: [],
    hasGaps: missing > 0,
    oldIndexes: indexes.oldIndexes,
    swappedAt: null,
  });
  await markRecheck(tx, stateSchema, record.id, 'undo');
  await recordEvent(tx, stateSchema, record.id, 'undone', { column: record.column });
  if (keepNotNull) return;
  ctx.onProgress({
    kind: 'warning',
    message: `"${record.column}" stays nullable: rows without an old vector would violate its NOT NULL.`,
  });
}

function refuseTakenTarget({ record, table }: ResolvedMigration): void {
  const names = [record.target, ...Object.values(provenanceOf(record.target))];
  const taken = names.find((name) => table.columns.some((column) => column.name === name));
  if (taken === undefined) return;
  throw new PreflightError(
    'name_taken',
    `${table.schema}.${table.name} has a column "${taken}", the name that the new column goes back to.`,
    {
      step: 'cut-over',
      hint: `Rename or drop "${taken}", then run the same command again.`,
      context: { column: taken },
    },
  );
}

function oldColumnDropped({ record, table }: ResolvedMigration): IntegrityError {
  const backup = record.backups.findLast(({ vectors }) => vectors === 'old');
  return new IntegrityError(
    'old_column_dropped',
    `The old column of ${table.schema}.${table.name} is gone; ${backup === undefined ? 'no backup of it is recorded' : `its backup is ${backup.path} (${backup.rows} ${plural(backup.rows, 'row')})`}.`,
    {
      step: 'cut-over',
      hint:
        backup === undefined
          ? 'Bring it back from a backup of the database.'
          : `Run "reembed restore ${backup.path}" to bring the old vectors back into a column of their own.`,
      context: { backups: record.backups },
    },
  );
}

function oldVectorsMissing({ record, table }: ResolvedMigration, count: number, filled: boolean): IntegrityError {
  const more = count > 1_000 ? 'more than 1000' : String(count);
  return new IntegrityError(
    'old_vectors_missing',
    `${more} ${plural(count, 'row')} of ${table.schema}.${table.name} ${plural(count, 'has', 'have')} no old vector: written or edited since the swap, or never embedded by the old model${filled ? ', which did not fill them' : ''}.`,
    {
      step: 'cut-over',
      hint: 'Configure the old model ("from", or EMBEDDING_OLD_PROVIDER, EMBEDDING_OLD_MODEL, EMBEDDING_OLD_DIMENSIONS), which fills them (beforehand: "reembed sync"), set REEMBED_ROLLBACK=accept-missing to leave them without a vector, or go back by a migration of its own ("reembed init --reverse").',
      context: { missing: count, column: record.keptColumn },
    },
  );
}
