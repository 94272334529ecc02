import { countPendingUpTo } from '../backfill/count-pending.ts';
import { providerSource } from '../backfill/provider-source.ts';
import { runBackfill } from '../backfill/run-backfill.ts';
import type { BackfillResult } from '../backfill/types.ts';
import { messageOf } from '../errors.ts';
import { tallyRows } from '../inspect/row-counts.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import type { Lease } from '../state/lease.ts';
import { readModel, registerModel } from '../state/models.ts';
import { clearQuarantine } from '../state/quarantine.ts';
import { type MigrationRecord, updateRecord } from '../state/records.ts';
import { type ResolvedMigration, resolveMigration } from '../state/resolve.ts';
import { restoreMatching } from '../swap/restore.ts';
import { servedModelChanged } from './definition-change.ts';
import type { LazyProvider } from './provider.ts';

/** Above so many rows an exact count for the progress line is not worth its scan. */
const EXACT_COUNT_LIMIT = 100_000;

/** Embeds what is pending in the column of the new vectors, before or after the swap; undefined when nothing is. */
export async function embedPending(
  ctx: MigrationContext,
  lease: Lease,
  provider: LazyProvider,
): Promise<BackfillResult | undefined> {
  const resolved = await resolveMigration(ctx);
  const known = await recordedModel(ctx, resolved.record);
  if (known === 0) await refuseToMix(ctx, resolved.record, ctx.definition.model);
  const pending = await countPendingUpTo(ctx.db, resolved.target, known, resolved.record.id, 1);
  if (pending === 0) return undefined;
  const opened = await provider.get();
  const modelId = await adoptModel(ctx, resolved, opened);
  await takeBackBackups(ctx, resolved, modelId, lease);
  return backfill(ctx, lease, opened, modelId);
}

/** The recorded model's id while the configuration still names that model, else 0: then every row with text is pending. */
async function recordedModel(ctx: MigrationContext, record: MigrationRecord): Promise<number> {
  if (record.modelId === null) return 0;
  const fingerprint = await readModel(ctx.db, ctx.runtime.stateSchema, record.modelId);
  const { provider, model, dimensions, revision } = ctx.definition;
  const same =
    fingerprint?.provider === provider &&
    fingerprint.configuredAs === model &&
    fingerprint.dimensions === dimensions &&
    (revision === undefined || fingerprint.revision === revision);
  return same ? record.modelId : 0;
}

/** After the swap another model's vectors would stand among those that are served. */
async function refuseToMix(ctx: MigrationContext, record: MigrationRecord, model: string): Promise<void> {
  if (record.active === 'old' || record.modelId === null) return;
  const served = await readModel(ctx.db, ctx.runtime.stateSchema, record.modelId);
  throw servedModelChanged(record, served?.configuredAs, model);
}

async function adoptModel(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  provider: EmbeddingProvider,
): Promise<number> {
  const { db, runtime } = ctx;
  const fingerprint = { ...provider.model, configuredAs: ctx.definition.model };
  const modelId = await registerModel(db, runtime.stateSchema, fingerprint);
  const { record } = resolved;
  if (record.modelId !== modelId) {
    await refuseToMix(ctx, record, ctx.definition.model);
    if (record.modelId !== null) {
      // What one model failed on is no fault of another.
      await clearQuarantine(db, runtime.stateSchema, record.id);
      ctx.onProgress({
        kind: 'warning',
        message: `The model changed since the last run: rows that the other model made are embedded again.`,
      });
    }
    await updateRecord(db, runtime.stateSchema, record.id, { modelId, cursor: null, rowsWritten: 0 });
  }
  return modelId;
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
    const { restored } = await restoreMatching(ctx, resolved, backup.path, modelId, {
      fence: { migrationId: record.id, token: lease.token },
    });
    if (restored > 0) ctx.onProgress({ kind: 'notice', message: `${restored} vectors came back from ${backup.path}.` });
  } catch (error) {
    throwIfStopped(ctx, 'fill');
    ctx.onProgress({ kind: 'warning', message: `The backup ${backup.path} could not be used: ${messageOf(error)}` });
  }
}

async function backfill(
  ctx: MigrationContext,
  lease: Lease,
  provider: EmbeddingProvider,
  modelId: number,
): Promise<BackfillResult> {
  const { db, runtime, definition } = ctx;
  const { record, table, target, extension } = await resolveMigration(ctx);
  const exact = table.estimatedRows < EXACT_COUNT_LIMIT;
  const counted = exact ? await tallyRows(db, target, modelId, record.id) : undefined;
  const rowsTotal = counted === undefined ? table.estimatedRows : counted.total - counted.skipped;
  if (record.active === 'old')
    await updateRecord(db, runtime.stateSchema, record.id, { phase: 'backfilling', rowsTotal });
  ctx.onProgress({
    kind: 'step',
    step: 'fill',
    message: `Embedding ${table.schema}.${table.name}.${record.text} with ${provider.model.name}`,
  });
  const before = { written: record.rowsWritten, tokens: record.tokens, truncated: record.truncated };
  const keep = async (
    changes: { written: number; tokens: number; truncated: number },
    cursor: readonly string[] | null,
  ): Promise<void> =>
    updateRecord(db, runtime.stateSchema, record.id, {
      cursor,
      rowsWritten: before.written + changes.written,
      tokens: before.tokens + changes.tokens,
      truncated: before.truncated + changes.truncated,
    });
  const result = await runBackfill({
    ctx,
    to: { target, modelId, vectorOid: extension.vectorOid, fence: { migrationId: definition.id, token: lease.token } },
    source: providerSource(provider),
    cursor: record.cursor,
    rowsDone: counted?.done ?? record.rowsWritten,
    rowsTotal,
    signal: ctx.signal,
    onCheckpoint: (checkpoint) => keep(checkpoint, checkpoint.cursor),
  });
  await keep(result, null);
  return result;
}
