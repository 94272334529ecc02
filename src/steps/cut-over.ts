import { refuseUnsettled } from '../backfill/refuse-unsettled.ts';
import { readTableByOid } from '../db/catalog.ts';
import { PreflightError } from '../errors.ts';
import type { AdaptedRows } from '../inspect/adapted-rows.ts';
import { tableSql } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { assertLease, type Lease } from '../state/lease.ts';
import type { NewIndex } from '../state/records.ts';
import { oldVectorTarget, resolveMigration } from '../state/resolve.ts';
import { updateUnderLease } from '../state/update-under-lease.ts';
import { backupColumn, warnWithoutBackup } from '../swap/backup.ts';
import { buildIndexes } from '../swap/build-indexes.ts';
import { checkExchange } from '../swap/check-exchange.ts';
import { exchange } from '../swap/exchange.ts';
import { finishExchange } from '../swap/finish-exchange.ts';
import { assertSameDefinition } from './definition-change.ts';
import { fillLeased } from './fill.ts';
import { fillPending } from './fill-pending.ts';
import { consultGate } from './gate.ts';
import { type LazyProvider, lazyProvider } from './provider.ts';
import { settleRebuild } from './settle-rebuild.ts';
import { tellAdapted } from './tell-adapted.ts';
import { withLease } from './with-lease.ts';

export interface CutOverResult {
  readonly step: 'cut-over';
  readonly changed: boolean;
  readonly column: string;
  readonly keptColumn: string | null;
  readonly indexes: readonly NewIndex[];
  /** Milliseconds for which the exchange held its lock; undefined when nothing was exchanged. */
  readonly lockedMs: number | undefined;
  /** Rows that went into service with an adapter's vector; null where there are none, and when nothing was exchanged. */
  readonly adapted: AdaptedRows | null;
}

/**
 * 007 up: last catch-up, gate, indexes built CONCURRENTLY, one short transaction that exchanges the columns, ANALYZE. Safe to repeat:
 * what an earlier run finished is found and kept.
 *
 * @throws PreflightError or IntegrityError before anything is exchanged; BusyError when the lock could not be had in time
 */
export async function cutOver(ctx: MigrationContext): Promise<CutOverResult> {
  return withLease(ctx, 'cut-over', async ({ ctx: leased, lease }) => {
    const provider = lazyProvider(leased, leased.definition);
    try {
      return await cutOverLeased(leased, lease, provider);
    } finally {
      await provider.close();
    }
  });
}

async function cutOverLeased(ctx: MigrationContext, lease: Lease, provider: LazyProvider): Promise<CutOverResult> {
  const { record, table } = await resolveMigration(ctx);
  await assertSameDefinition(ctx, record, table, 'cut-over');
  let lockedMs: number | undefined;
  let adapted: AdaptedRows | null = null;
  if (record.active === 'old') {
    const settles = refuseUnsettled(`${table.schema}.${table.name}`, ctx.definition.model);
    const filled = await fillLeased(ctx, lease, provider, settles);
    // Behind the catch-up: before it there may be no new vectors to judge by, and what it embeds is kept when the gate refuses. Before the
    // indexes, which a refusal would waste.
    adapted = await tellAdapted(ctx, filled.rows);
    await consultGate(ctx, provider);
    lockedMs = await exchangeColumns(ctx, lease, provider, adapted);
  }
  // From here on the application serves the new vectors; the rest is repeated until it is done.
  await fillPending(ctx, lease, provider);
  // Rows that the exchange went ahead without have their vector now: searches need not ask the kept column for them any more.
  const after = await resolveMigration(ctx);
  if (after.record.hasGaps === true) await updateUnderLease(ctx, lease, { hasGaps: false });
  await finishExchange(ctx, after);
  await ctx.db.query(`ANALYZE ${tableSql(after.target)}`);
  return {
    step: 'cut-over',
    changed: lockedMs !== undefined,
    column: after.record.column,
    keptColumn: after.record.keptColumn,
    indexes: after.record.newIndexes,
    lockedMs,
    adapted,
  };
}

async function exchangeColumns(
  ctx: MigrationContext,
  lease: Lease,
  provider: LazyProvider,
  adapted: AdaptedRows | null,
): Promise<number> {
  const { db, definition, runtime } = ctx;
  await settleRebuild(ctx, (await resolveMigration(ctx)).table, 'forth');
  const resolved = await resolveMigration(ctx);
  await checkExchange(ctx, resolved);
  ctx.onProgress({ kind: 'step', step: 'cut-over', message: 'Building the indexes on the new vectors' });
  const settles = () => refuseUnsettled(`${resolved.table.schema}.${resolved.table.name}`, definition.model);
  const newIndexes = await buildIndexes(ctx, resolved).catch(async (error: unknown) => {
    if (!(error instanceof PreflightError) || error.code !== 'column_unfilled') throw error;
    // Rows that came in since the catch-up, as while the gate judged: no index was begun yet.
    await fillPending(ctx, lease, provider, { afterWalk: settles() });
    return buildIndexes(ctx, resolved);
  });
  if (definition.oldColumn === 'drop') await backupOld(ctx);
  ctx.onProgress({
    kind: 'step',
    step: 'cut-over',
    message: `Exchanging ${resolved.record.target} and ${resolved.record.column}`,
  });
  const built = { ...resolved, table: await readTableByOid(db, resolved.record.tableOid) };
  const { lockedMs } = await exchange(ctx, built, {
    newIndexes,
    catchUp: async () => {
      await fillPending(ctx, lease, provider, { afterWalk: settles() });
    },
    guard: (tx) => assertLease(tx, runtime.stateSchema, definition.id, lease.token),
    noted: adapted === null ? undefined : { adapted },
  });
  return lockedMs;
}

async function backupOld(ctx: MigrationContext): Promise<void> {
  const { record, table, extension } = await resolveMigration(ctx);
  const old = oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  if (old === undefined) return;
  if (ctx.runtime.backup === 'none') return warnWithoutBackup(ctx, old);
  const resolved = await resolveMigration(ctx);
  await backupColumn(ctx, resolved, { column: old, directory: ctx.runtime.backupDir, reason: 'drop-old-column' });
}
