import { type Adapter, openAdapter } from '../adapters/apply.ts';
import type { ProjectionEntry } from '../adapters/types.ts';
import { adapterSource } from '../backfill/adapter-source.ts';
import { hasPending } from '../backfill/count-pending.ts';
import type { BackfillJob } from '../backfill/job.ts';
import { runBackfill } from '../backfill/run-backfill.ts';
import type { BackfillResult } from '../backfill/types.ts';
import type { MappedTarget } from '../sql/read-vectors.ts';
import type { OldVectors, VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { assertLease, type Lease } from '../state/lease.ts';
import { registerModel } from '../state/models.ts';
import { updateRecord } from '../state/records.ts';
import { type ResolvedMigration, resolveMigration } from '../state/resolve.ts';
import { updateUnderLease } from '../state/update-under-lease.ts';
import { withTableLock } from '../swap/lock-table.ts';
import { waitWhilePaused } from '../throttle/paused.ts';
import { adaptedFingerprint } from './adapter-provenance.ts';
import { adoptSpace, hasVectorsOf, recordedModel, spaceModel } from './adopt-model.ts';
import { adapterInUse, type ChosenAdapter, chooseAdapter } from './choose-adapter.ts';
import { createTrigger } from './expand.ts';
import { fillExtent } from './fill-extent.ts';

/** The models of adapted rows, by their ids in the state. */
interface AdapterIds {
  /** Of the real model, into whose space is mapped. */
  readonly modelId: number;
  readonly adaptedId: number;
}

/**
 * Maps the old vectors of the rows that have no new one, where an adapter is asked for: whatever their texts, which are not read. Neither the
 * model nor a key is touched. After the swap nothing is mapped: what is pending there has no valid old vector.
 *
 * @returns undefined when there was nothing to map
 * @throws as `chooseAdapter`; AdapterError `input_out_of_range`; ModelError `model_differs`
 */
export async function adaptPending(
  ctx: MigrationContext,
  lease: Lease,
  options: Pick<BackfillJob, 'isOver' | 'afterWalk'> = {},
): Promise<BackfillResult | undefined> {
  const use = adapterInUse(ctx);
  const resolved = await resolveMigration(ctx);
  if (use === undefined || resolved.record.active === 'new') return undefined;
  const known = await recordedModel(ctx, resolved);
  const chosen = await chooseAdapter(ctx, resolved, use);
  if (chosen === undefined) return undefined;
  const ids = await registerIds(ctx, resolved, chosen.entry);
  const { id, cursor } = resolved.record;
  const target = mappedTarget(resolved.target, chosen.old, ids.adaptedId);
  if (!(await hasPending(ctx.db, target, ids.modelId, id, known === 0 ? null : cursor))) return undefined;
  await waitWhilePaused(ctx, options.isOver);
  const { projection } = await chosen.registry.load(chosen.entry.id);
  const adapter = openAdapter({ entry: chosen.entry, projection });
  try {
    // The thread starts meanwhile.
    const columns = chosen.entry.source.dimensions;
    adapter.applyAll({ rows: 1, columns, data: new Float32Array(columns) }).catch(() => undefined);
    await adoptAdapter(ctx, resolved, lease, chosen, ids.adaptedId);
    return await mapAll(ctx, lease, adapter, { ...options, old: chosen.old, ids });
  } finally {
    await adapter.close();
  }
}

async function registerIds(
  ctx: MigrationContext,
  { record }: ResolvedMigration,
  entry: ProjectionEntry,
): Promise<AdapterIds> {
  const { db, runtime } = ctx;
  return {
    modelId: await spaceModel(ctx, record, entry.target.fingerprint),
    adaptedId: await registerModel(db, runtime.stateSchema, { ...adaptedFingerprint(entry) }),
  };
}

function mappedTarget(target: VectorTarget, old: VectorTarget, adaptedId: number): MappedTarget {
  const { column, vectorType, dimensions, provenance } = old;
  const from: OldVectors = { column, vectorType, dimensions, provenance };
  return { ...target, adapted: { modelId: adaptedId, as: 'kept', from }, mappedFrom: from };
}

/** From here on the adapter's rows count as the model's. The trigger that watches what they are mapped from comes in the same transaction. */
async function adoptAdapter(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  lease: Lease,
  { entry, old }: ChosenAdapter,
  adaptedId: number,
): Promise<void> {
  const { record, table, target } = resolved;
  await adoptSpace(ctx, resolved, lease, entry.target.fingerprint);
  if (record.adaptedModelId === adaptedId) return;
  if (record.adaptedModelId !== null && (await hasVectorsOf(ctx, target, record.adaptedModelId))) {
    const message = `Rows that another adapter mapped are pending again: from now on it is ${entry.id}.`;
    ctx.onProgress({ kind: 'notice', message });
  }
  await withTableLock(ctx, table, 'fill', async (tx) => {
    await assertLease(tx, ctx.runtime.stateSchema, record.id, lease.token);
    await createTrigger(tx, mappedTarget(target, old, adaptedId), record.id, table.oid);
    await updateRecord(tx, ctx.runtime.stateSchema, record.id, { adaptedModelId: adaptedId, cursor: null });
  });
}

async function mapAll(
  ctx: MigrationContext,
  lease: Lease,
  adapter: Adapter,
  run: Pick<BackfillJob, 'isOver' | 'afterWalk'> & { readonly old: VectorTarget; readonly ids: AdapterIds },
): Promise<BackfillResult> {
  const { ids, old, isOver, afterWalk } = run;
  const resolved = await resolveMigration(ctx);
  const { record, table, extension } = resolved;
  const target = mappedTarget(resolved.target, old, ids.adaptedId);
  const model = adaptedFingerprint(adapter.entry);
  const extent = await fillExtent(ctx, { record, table, target }, ids.modelId);
  await updateUnderLease(ctx, lease, { phase: 'backfilling', rowsTotal: extent.rowsTotal ?? null });
  const message = `Mapping ${table.schema}.${table.name}.${old.column} by ${model.name}`;
  ctx.onProgress({ kind: 'step', step: 'fill', message });
  let reached = record.cursor;
  const keep = (written: number, cursor: readonly string[] | null): Promise<void> =>
    updateUnderLease(ctx, lease, { cursor, rowsWritten: record.rowsWritten + written });
  const result = await runBackfill({
    ctx,
    to: {
      target,
      modelId: ids.modelId,
      vectorOid: extension.vectorOid,
      fence: { migrationId: record.id, token: lease.token },
    },
    source: adapterSource(adapter, model),
    cursor: record.cursor,
    ...extent,
    signal: ctx.signal,
    afterWalk,
    isOver,
    onCheckpoint: (checkpoint) => {
      reached = checkpoint.cursor;
      return keep(checkpoint.written, checkpoint.cursor);
    },
  });
  await keep(result.written, isOver?.() === true ? reached : null);
  await recordEvent(ctx.db, ctx.runtime.stateSchema, record.id, 'adapted', { ...result, adapter: model.name });
  return result;
}
