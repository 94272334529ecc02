import { findRecordedEntry, readRecordedAdapter } from '../adapters/recorded-adapter.ts';
import type { MigrationContext } from '../state/context.ts';
import { fingerprintHash, readModel } from '../state/models.ts';
import { type MigrationRecord, updateRecord } from '../state/records.ts';

export interface RestoredAdapters {
  readonly record: MigrationRecord | undefined;
  /** That was written to. */
  readonly column: string;
  /** Ids, in this database, of the models that the backup's vectors are from. */
  readonly modelIds: Iterable<number>;
}

/**
 * Vectors that an adapter made come back as such. A swapped migration that has replaced its own takes the adapter up again, where the registry
 * says that it maps into the migration's model; any other is another model's, and said to be.
 */
export async function takeUpAdapters(ctx: MigrationContext, restored: RestoredAdapters): Promise<void> {
  const { record, column } = restored;
  if (record === undefined || column !== (record.active === 'new' ? record.column : record.target)) return;
  let taken = record.adaptedModelId;
  for (const id of restored.modelIds) {
    const recorded = await readRecordedAdapter(ctx.db, ctx.runtime.stateSchema, id);
    if (recorded === undefined || id === taken) continue;
    if (taken === null && record.active === 'new' && (await mapsIntoModel(ctx, record, id))) {
      await updateRecord(ctx.db, ctx.runtime.stateSchema, record.id, { adaptedModelId: id });
      taken = id;
      continue;
    }
    const what =
      record.active === 'new'
        ? `is not the adapter of "${record.id}": "reembed verify" counts its vectors as another model's`
        : `is not the adapter of "${record.id}": the rows with its vectors are pending`;
    ctx.onProgress({ kind: 'warning', message: `The backup holds vectors of ${recorded.name}, which ${what}.` });
  }
}

/** What maps into another model's space has no place among this one's vectors. */
async function mapsIntoModel(ctx: MigrationContext, { modelId }: MigrationRecord, id: number): Promise<boolean> {
  const { db, runtime } = ctx;
  const recorded = await readRecordedAdapter(db, runtime.stateSchema, id);
  const model = modelId === null ? undefined : await readModel(db, runtime.stateSchema, modelId);
  if (recorded === undefined || model === undefined) return false;
  const found = await findRecordedEntry(runtime, recorded);
  if ('problem' in found) return false;
  const { configuredAs: _name, ...made } = model;
  return fingerprintHash(found.entry.target.fingerprint) === fingerprintHash(made);
}
