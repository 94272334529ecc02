import type { Queryable } from '../db/types.ts';
import { PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import { dropVectorColumnSql } from '../sql/exchange.ts';
import { dropNotifyTriggerSql } from '../sql/notify-trigger.ts';
import { dropTriggerSql } from '../sql/trigger.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { type MigrationRecord, readRecord, updateRecord } from '../state/records.ts';
import { oldVectorTarget, type ResolvedMigration, resolveMigration } from '../state/resolve.ts';
import { warnWithoutBackup } from './backup.ts';
import { refuseBoundDependents } from './check-dependents.ts';
import { readNow } from './exchange.ts';
import { withTableLock } from './lock-table.ts';

export interface FinalizeOptions {
  /** True does not wait for the retention to end. */
  readonly now?: boolean;
  /** Writes the backup of the kept column; not called with `backup: 'none'`, or when there is nothing to drop. */
  readonly backup?: () => Promise<void>;
  readonly guard?: (tx: Queryable) => Promise<void>;
}

/**
 * Drops the old column with its provenance, indexes and trigger: after this there is no way back but the backup.
 *
 * @returns the column that was dropped, or undefined when nothing was left to drop
 * @throws PreflightError `not_swapped`; `retention` before its days are over
 */
export async function finalizeSwap(
  ctx: MigrationContext,
  options: FinalizeOptions = {},
): Promise<{ readonly dropped: string | undefined }> {
  const resolved = await resolveMigration(ctx);
  const { record, table } = resolved;
  if (record.phase === 'finalized') return { dropped: undefined };
  if (record.phase !== 'swapped') {
    throw new PreflightError(
      'not_swapped',
      `The migration "${record.id}" is ${record.phase}: its old column is in use, nothing can be dropped.`,
      { step: 'finalize', hint: 'Run "npx knex migrate:latest" (or "reembed swap") first.' },
    );
  }
  const kept = oldVectorTarget(record, table, resolved.extension, ctx.runtime.stateSchema);
  if (kept !== undefined) {
    if (options.now !== true) await refuseWithinRetention(ctx, record);
    await refuseBoundDependents(ctx, table, kept.column, 'finalize');
    if (ctx.runtime.backup === 'none') warnWithoutBackup(ctx, kept);
    else await options.backup?.();
  }
  await withTableLock(ctx, table, 'finalize', async (tx) => {
    await options.guard?.(tx);
    const present = await readRecord(tx, ctx.runtime.stateSchema, record.id);
    if (present?.phase !== 'swapped') return;
    await dropKept(ctx, tx, resolved, kept);
  });
  if (kept === undefined) return { dropped: undefined };
  if (record.adaptedModelId !== null) {
    const message =
      'Rows that an adapter filled cannot be mapped again now: "reembed backfill --replace-adapted" embeds their texts.';
    ctx.onProgress({ kind: 'notice', message });
  }
  ctx.onProgress({
    kind: 'notice',
    message: `"${kept.column}" is dropped; its space comes back only with VACUUM FULL or a repack of ${table.schema}.${table.name}.`,
  });
  return { dropped: kept.column };
}

async function dropKept(
  ctx: MigrationContext,
  tx: Queryable,
  { record, target }: ResolvedMigration,
  kept: ReturnType<typeof oldVectorTarget>,
): Promise<void> {
  const { stateSchema } = ctx.runtime;
  const statements = [
    ...dropTriggerSql(target, record.id),
    ...dropNotifyTriggerSql(target, record.id),
    ...(kept === undefined ? [] : [dropVectorColumnSql(kept, kept)]),
  ];
  await tx.query(statements.join(';\n'));
  await updateRecord(tx, stateSchema, record.id, {
    phase: 'finalized',
    keptColumn: null,
    finalizedAt: await readNow(tx),
  });
  await recordEvent(tx, stateSchema, record.id, 'finalized', { dropped: kept?.column ?? null });
}

async function refuseWithinRetention(ctx: MigrationContext, record: MigrationRecord): Promise<void> {
  const { retentionDays } = ctx.definition;
  const { rows } = await ctx.db.query<{ early: boolean; until: string }>(
    `SELECT pg_catalog.now() < u.until AS early, pg_catalog.to_char(u.until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') AS until
     FROM (SELECT $1::timestamptz + pg_catalog.make_interval(days => $2::integer) AS until) u`,
    [record.swappedAt, Math.ceil(retentionDays)],
  );
  const row = rows[0];
  if (row?.early !== true) return;
  throw new PreflightError(
    'retention',
    `The old column "${record.keptColumn}" is kept for ${retentionDays} ${plural(retentionDays, 'day')}, until ${row.until}, so that the swap can be undone.`,
    {
      step: 'finalize',
      hint: 'Run the same command then, or "reembed finalize --now".',
      context: { until: row.until },
    },
  );
}
