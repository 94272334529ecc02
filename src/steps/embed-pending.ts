import { hasPending } from '../backfill/count-pending.ts';
import type { BackfillJob } from '../backfill/job.ts';
import { providerSource } from '../backfill/provider-source.ts';
import { runBackfill } from '../backfill/run-backfill.ts';
import type { BackfillResult, Checkpoint } from '../backfill/types.ts';
import { messageOf } from '../errors.ts';
import { plural } from '../plural.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import type { Lease } from '../state/lease.ts';
import { type ResolvedMigration, resolveMigration } from '../state/resolve.ts';
import { updateUnderLease } from '../state/update-under-lease.ts';
import { restoreMatching } from '../swap/restore.ts';
import { waitWhilePaused } from '../throttle/paused.ts';
import { adoptModel, recordedModel } from './adopt-model.ts';
import { clearBlankRows } from './clear-blank-rows.ts';
import { refuseSuperseded } from './definition-change.ts';
import { fillExtent } from './fill-extent.ts';
import type { LazyProvider } from './provider.ts';
import { isUnwatched, type ModelWatch, watchModel } from './watch-model.ts';

export interface EmbedPendingOptions extends Pick<BackfillJob, 'isOver' | 'afterWalk'> {
  /** Embeds the texts of the rows that an adapter filled, and of no others. */
  readonly replaceAdapted?: boolean;
}

/**
 * Embeds what is pending in the column of the new vectors, before or after the swap; undefined when nothing is.
 *
 * @throws ModelError `model_differs` when vectors of another model are there; IntegrityError `model_changed` when a service has come to run another;
 *   PreflightError `superseded`; BusyError `paused` under knex
 */
export async function embedPending(
  ctx: MigrationContext,
  lease: Lease,
  provider: LazyProvider,
  options: EmbedPendingOptions = {},
): Promise<BackfillResult | undefined> {
  const resolved = await resolvePending(ctx, options);
  await clearBlankRows(ctx, resolved, lease);
  const known = await recordedModel(ctx, resolved);
  const { id } = resolved.record;
  const pending = await hasPending(ctx.db, resolved.target, known, id, cursorOf(resolved, known));
  // A run may have ended before what it wrote last was looked at.
  if (!pending && !(await isUnwatched(ctx))) return undefined;
  // Before the model is loaded and a service is asked.
  if (pending) await refuseSuperseded(ctx, resolved.record);
  if (pending) await waitWhilePaused(ctx, options.isOver);
  const opened = await provider.get();
  const modelId = await adoptModel(ctx, resolved, lease, opened);
  const watch = await watchModel(ctx, lease, opened, modelId, { toWrite: pending });
  if (!pending) return undefined;
  if (options.replaceAdapted !== true) await takeBackBackups(ctx, resolved, modelId, lease);
  try {
    const result = await backfill(ctx, lease, opened, { modelId, watch, ...options });
    await watch?.finish();
    return result;
  } catch (error) {
    // Only now nobody writes any more.
    throw (await watch?.failure()) ?? error;
  }
}

/** The migration with what counts as pending in this run. */
async function resolvePending(
  ctx: MigrationContext,
  { replaceAdapted }: EmbedPendingOptions,
): Promise<ResolvedMigration> {
  const resolved = await resolveMigration(ctx);
  const { adapted } = resolved.target;
  if (replaceAdapted !== true || adapted === undefined) return resolved;
  return { ...resolved, target: { ...resolved.target, adapted: { ...adapted, as: 'replaced' } } };
}

/** The cursor is that of the recorded model's walk, and of rows that had no vector. */
function cursorOf({ record, target }: ResolvedMigration, known: number): readonly string[] | null {
  return known === 0 || target.adapted?.as === 'replaced' ? null : record.cursor;
}

/** Vectors that an undone backfill left in a backup are taken back where model and text are still the same. */
async function takeBackBackups(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  modelId: number,
  lease: Lease,
): Promise<void> {
  const { record } = resolved;
  const backup = record.backups.findLast((candidate) => candidate.column === record.target);
  if (backup === undefined || record.active === 'new' || record.rowsWritten > 0) return;
  try {
    const { restored, leftOut } = await restoreMatching(ctx, resolved, backup.path, modelId, {
      fence: { migrationId: record.id, token: lease.token },
    });
    const message = `${restored} ${plural(restored, 'vector')} came back from ${backup.path}.`;
    if (restored > 0) ctx.onProgress({ kind: 'notice', message });
    if (leftOut.length > 0) {
      const stay = `The vectors of ${leftOut.join(', ')} stay in ${backup.path}: the old ones may have changed since.`;
      ctx.onProgress({ kind: 'notice', message: stay });
    }
  } catch (error) {
    throwIfStopped(ctx, 'fill');
    ctx.onProgress({ kind: 'warning', message: `The backup ${backup.path} could not be used: ${messageOf(error)}` });
  }
}

async function backfill(
  ctx: MigrationContext,
  lease: Lease,
  provider: EmbeddingProvider,
  run: EmbedPendingOptions & { readonly modelId: number; readonly watch: ModelWatch | undefined },
): Promise<BackfillResult> {
  const { definition } = ctx;
  const { modelId, watch, isOver, afterWalk } = run;
  const resolved = await resolvePending(ctx, run);
  const { record, table, target, extension } = resolved;
  const { rowsDone, rowsTotal } = await fillExtent(ctx, resolved, modelId);
  const isReplacing = target.adapted?.as === 'replaced';
  if (record.active === 'old' && !isReplacing) {
    await updateUnderLease(ctx, lease, { phase: 'backfilling', rowsTotal: rowsTotal ?? null });
  }
  ctx.onProgress({
    kind: 'step',
    step: 'fill',
    message: `Embedding ${embeddedName(table, record)} with ${provider.model.name}`,
  });
  const keep = (changes: Omit<Checkpoint, 'cursor'>, cursor: readonly string[] | null): Promise<void> =>
    updateUnderLease(ctx, lease, {
      cursor,
      // A row that is replaced has been counted before.
      rowsWritten: record.rowsWritten + (isReplacing ? 0 : changes.written),
      tokens: record.tokens + changes.tokens,
      truncated: record.truncated + changes.truncated,
    });
  const source = providerSource(provider);
  let reached = cursorOf(resolved, modelId);
  const result = await runBackfill({
    ctx,
    to: { target, modelId, vectorOid: extension.vectorOid, fence: { migrationId: definition.id, token: lease.token } },
    source: watch?.watch(source) ?? source,
    cursor: reached,
    rowsDone,
    rowsTotal,
    signal: ctx.signal,
    afterWalk,
    isOver,
    onCheckpoint: (checkpoint) => {
      reached = checkpoint.cursor;
      return keep(checkpoint, checkpoint.cursor);
    },
  });
  // A run that was ended before its time is gone on with from there, by whichever command.
  await keep(result, isOver?.() === true ? reached : null);
  return result;
}

function embeddedName(
  { schema, name }: ResolvedMigration['table'],
  { text, textExpression }: ResolvedMigration['record'],
) {
  return textExpression === null ? `${schema}.${name}.${text}` : `the text of ${schema}.${name} (${text})`;
}
