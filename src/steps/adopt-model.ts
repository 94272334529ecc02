import { type ModelComparison, modelDiffers, spaceDifferences } from '../inspect/model-differences.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import type { Lease } from '../state/lease.ts';
import { readModel, registerModel, type StoredFingerprint } from '../state/models.ts';
import { clearQuarantine } from '../state/quarantine.ts';
import type { MigrationRecord } from '../state/records.ts';
import type { ResolvedMigration } from '../state/resolve.ts';
import { updateUnderLease } from '../state/update-under-lease.ts';
import { servedModelChanged } from './definition-change.ts';

/**
 * The recorded model's id while the configuration still names that model, else 0: then every row with text is pending.
 *
 * @throws ModelError `model_differs` when vectors of the recorded one are there; PreflightError `served_model_changed` after the swap
 */
export async function recordedModel(ctx: MigrationContext, { record, target }: ResolvedMigration): Promise<number> {
  if (record.modelId === null) return 0;
  const stored = await readModel(ctx.db, ctx.runtime.stateSchema, record.modelId);
  const { provider, model, dimensions, revision } = ctx.definition;
  const same =
    (provider === 'adapted' || stored?.provider === provider) &&
    stored?.configuredAs === model &&
    stored.dimensions === dimensions &&
    (revision === undefined || stored.revision === revision);
  if (same) return record.modelId;
  await refuseToMix(ctx, record);
  // What the other model is beyond its name is not known before it is opened, and for this it need not be.
  const present = { provider, name: model, dimensions, ...(revision !== undefined && { revision }) };
  await refuseOther(ctx, record, target, { stored: { ...stored, name: stored?.configuredAs }, present, partial: true });
  return 0;
}

/**
 * The id of the opened model, which is the migration's from now on.
 *
 * @throws as `recordedModel`: under the same name it may be another version
 */
export async function adoptModel(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  lease: Lease,
  provider: EmbeddingProvider,
): Promise<number> {
  const { db, runtime } = ctx;
  const present = asConfigured(ctx, { ...provider.model });
  await refuseOtherSpace(ctx, resolved, present);
  return adoptId(ctx, resolved, lease, await registerModel(db, runtime.stateSchema, present));
}

/** The same for a model that is not opened: the one whose space a projection maps into. @throws as `adoptModel` */
export async function adoptSpace(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  lease: Lease,
  fingerprint: StoredFingerprint,
): Promise<number> {
  await refuseOtherSpace(ctx, resolved, asConfigured(ctx, fingerprint));
  return adoptId(ctx, resolved, lease, await spaceModel(ctx, resolved.record, fingerprint));
}

/**
 * The id of the model of a space: the recorded one where it is that model's. What a projection says of it, of its files of vectors perhaps as they
 * were when it was learned, makes no row of the model pending.
 */
export async function spaceModel(
  ctx: MigrationContext,
  { modelId }: Pick<MigrationRecord, 'modelId'>,
  fingerprint: StoredFingerprint,
): Promise<number> {
  const { db, runtime } = ctx;
  const present = asConfigured(ctx, fingerprint);
  const stored = modelId === null ? undefined : await readModel(db, runtime.stateSchema, modelId);
  const isThat =
    stored !== undefined &&
    stored.configuredAs === present.configuredAs &&
    spaceDifferences(stored, present).length === 0;
  return modelId !== null && isThat ? modelId : registerModel(db, runtime.stateSchema, present);
}

async function refuseOtherSpace(
  ctx: MigrationContext,
  { record, target }: ResolvedMigration,
  present: StoredFingerprint,
): Promise<void> {
  if (record.modelId === null) return;
  const stored = await readModel(ctx.db, ctx.runtime.stateSchema, record.modelId);
  if (stored === undefined || spaceDifferences(stored, present).length === 0) return;
  await refuseToMix(ctx, record);
  await refuseOther(ctx, record, target, { stored, present });
}

async function adoptId(
  ctx: MigrationContext,
  { record, target }: ResolvedMigration,
  lease: Lease,
  modelId: number,
): Promise<number> {
  const { db, runtime } = ctx;
  if (record.modelId === modelId) return modelId;
  await refuseToMix(ctx, record);
  if (record.modelId !== null && (await hasVectorsOf(ctx, target, record.modelId))) {
    const message = `${ctx.definition.model} changed since the last run: its rows are embedded again.`;
    ctx.onProgress({ kind: 'warning', message });
  }
  // What one model failed on is no fault of another.
  if (record.modelId !== null) await clearQuarantine(db, runtime.stateSchema, record.id);
  await updateUnderLease(ctx, lease, { modelId, cursor: null, rowsWritten: 0 });
  return modelId;
}

/** As the state keeps a model: with the name by which the configuration knows it. */
function asConfigured({ definition }: MigrationContext, fingerprint: StoredFingerprint): StoredFingerprint {
  return { ...fingerprint, configuredAs: definition.model };
}

/** Whether a row has a vector of this model. */
export async function hasVectorsOf(ctx: MigrationContext, target: VectorTarget, modelId: number): Promise<boolean> {
  if (target.provenance === undefined) return false;
  const { rows } = await ctx.db.query(
    `SELECT 1 FROM ${tableSql(target)} t WHERE t.${quoteIdentifier(target.provenance.model)} = $1 LIMIT 1`,
    [modelId],
  );
  return rows.length > 0;
}

/** After the swap another model's vectors would stand among those that are served. */
async function refuseToMix(ctx: MigrationContext, record: MigrationRecord): Promise<void> {
  if (record.active === 'old' || record.modelId === null) return;
  const served = await readModel(ctx.db, ctx.runtime.stateSchema, record.modelId);
  throw servedModelChanged(record, served?.configuredAs, ctx.definition.model);
}

async function refuseOther(
  ctx: MigrationContext,
  record: MigrationRecord,
  target: VectorTarget,
  models: ModelComparison,
): Promise<void> {
  const { modelId, adaptedModelId } = record;
  if (modelId === null) return;
  // What was mapped into the space of a model is as good as that model's.
  const isBound =
    (await hasVectorsOf(ctx, target, modelId)) ||
    (adaptedModelId !== null && (await hasVectorsOf(ctx, target, adaptedModelId)));
  if (!isBound) return;
  const where = `${target.schema}.${target.table}.${target.column}`;
  throw modelDiffers([`${where} holds vectors of`, 'the configuration now makes those of'], models, {
    step: 'fill',
    hint: 'Set the configuration back and run the same command again, or give up what is there and begin anew: "reembed down --to 005" (or "npx knex migrate:down"), then "reembed up".',
  });
}
