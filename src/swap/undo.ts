import type { Queryable } from '../db/types.ts';
import { IntegrityError, PreflightError } from '../errors.ts';
import { provenanceOf, type VectorTarget } from '../sql/target.ts';
import { createTriggerSql } from '../sql/trigger.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { updateRecord } from '../state/records.ts';
import { oldVectorTarget, type ResolvedMigration, resolveMigration } from '../state/resolve.ts';
import { refuseBoundDependents } from './check-dependents.ts';
import { exchangeColumnsSql, isTriggerAlways } from './exchange-columns.ts';
import { restoreIndexNames } from './exchange-indexes.ts';
import { finishExchange } from './finish-exchange.ts';
import { forgetEditedRows } from './forget-edited-rows.ts';
import { hasNulls, type MissingRows, missingOldVectors } from './missing-rows.ts';
import { acceptAfterStrictRounds, type ExchangeResult, NOTHING_DONE, settleExchange } from './settle.ts';

const ACCEPT_MISSING = 500;

export interface UndoOptions {
  /** Fills rows without an old vector by the old model; called outside any lock. */
  readonly fillMissing?: (() => Promise<void>) | undefined;
  /** Runs under the lock before anything is changed; a throw stops the exchange. */
  readonly guard?: (tx: Queryable) => Promise<void>;
}

/**
 * Goes back to the old column: the same exchange with the roles turned round. The indexes that the swap built go, the kept ones take
 * their names again, the record is `backfilled`. Does nothing where the old column is in place.
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
  if (resolved.record.active === 'old') return NOTHING_DONE;
  const fresh = await resolveMigration(ctx);
  const { record, table } = fresh;
  if (record.active === 'old') return NOTHING_DONE;
  const kept = oldVectorTarget(record, table, fresh.extension, ctx.runtime.stateSchema);
  if (kept === undefined) throw oldColumnDropped(fresh);
  await refuseBoundDependents(ctx, table, record.column);
  refuseTakenTarget(fresh);
  const acceptAll = ctx.runtime.rollback === 'accept-missing';
  const missing = missingOldVectors(kept);
  const result = await settleExchange(ctx, table, {
    missing,
    catchUp: options.fillMissing,
    accept: acceptAll
      ? () => Number.MAX_SAFE_INTEGER - 1
      : acceptAfterStrictRounds(options.fillMissing === undefined ? 0 : ACCEPT_MISSING),
    guard: options.guard,
    becomes: 'old',
    apply: (tx, now, present) => applyUndo(ctx, tx, { ...fresh, table: now, record: present }, kept, missing),
    refuse: (count) => oldVectorsMissing(fresh, count, options.fillMissing !== undefined),
  });
  const after = await resolveMigration(ctx);
  await finishExchange(ctx, after);
  await forgetEditedRows(ctx, after);
  ctx.onProgress({
    kind: 'notice',
    message: `"${record.column}" holds the old model's vectors again: everything that writes or searches it must return to the old model.`,
  });
  return result;
}

async function applyUndo(
  ctx: MigrationContext,
  tx: Queryable,
  resolved: ResolvedMigration,
  kept: VectorTarget,
  missing: MissingRows,
): Promise<void> {
  const { record, table, target } = resolved;
  const { stateSchema } = ctx.runtime;
  const always = await isTriggerAlways(tx, table.oid, record.id);
  const keepNotNull = !(await hasNulls(tx, missing));
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
  const indexes = restoreIndexNames(table, record);
  const back = { ...target, column: record.target, provenance: provenanceOf(record.target) };
  const trigger = createTriggerSql(back, record.id, { always });
  await tx.query([...columns, ...indexes.statements, ...trigger].join(';\n'));
  await updateRecord(tx, stateSchema, record.id, {
    phase: 'backfilled',
    active: 'old',
    keptColumn: null,
    cursor: null,
    newIndexes: [],
    oldIndexes: indexes.oldIndexes,
    swappedAt: null,
  });
  await recordEvent(tx, stateSchema, record.id, 'undone', { column: record.column });
  const wasNotNull = table.columns.some((column) => column.name === record.column && column.notNull);
  if (!wasNotNull || keepNotNull) return;
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
  const backup = record.backups.at(-1);
  return new IntegrityError(
    'old_column_dropped',
    `The old column of ${table.schema}.${table.name} is gone; ${backup === undefined ? 'no backup of it is recorded' : `its backup is ${backup.path} (${backup.rows} rows)`}.`,
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
    `${more} rows of ${table.schema}.${table.name} have no old vector: written or edited since the swap, or never embedded by the old model${filled ? ', which did not fill them' : ''}.`,
    {
      step: 'cut-over',
      hint: 'Configure the old model (EMBEDDING_OLD_PROVIDER, EMBEDDING_OLD_MODEL, EMBEDDING_OLD_DIMENSIONS), which fills them, or set REEMBED_ROLLBACK=accept-missing to leave them without a vector.',
      context: { missing: count, column: record.keptColumn },
    },
  );
}
