import type { BackfillResult } from '../backfill/types.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { assertLease, type Lease } from '../state/lease.ts';
import { readModel } from '../state/models.ts';
import { updateRecord } from '../state/records.ts';
import { resolveMigration } from '../state/resolve.ts';
import { withTableLock } from '../swap/lock-table.ts';
import { hasVectorsOf } from './adopt-model.ts';
import { embedPending } from './embed-pending.ts';
import { ensureTrigger } from './ensure-trigger.ts';
import { createTrigger } from './expand.ts';
import type { LazyProvider } from './provider.ts';

/**
 * Embeds, with the migration's model, the texts of exactly the rows whose vectors an adapter made. A row is written while its provenance is still
 * the adapter's and its text the one that was embedded: what the application has written or edited meanwhile stays. Rows without a text stay
 * as they are; with none left the migration has no adapter any more.
 *
 * @returns undefined when there was nothing to embed
 */
export async function replaceAdaptedRows(
  ctx: MigrationContext,
  lease: Lease,
  provider: LazyProvider,
): Promise<BackfillResult | undefined> {
  const resolved = await resolveMigration(ctx);
  const { id, adaptedModelId } = resolved.record;
  if (adaptedModelId === null) return undefined;
  await ensureTrigger(ctx, resolved);
  const run = await embedPending(ctx, lease, provider, { replaceAdapted: true });
  if (run !== undefined) {
    const adapter = await readModel(ctx.db, ctx.runtime.stateSchema, adaptedModelId);
    await recordEvent(ctx.db, ctx.runtime.stateSchema, id, 'adapted-replaced', { ...run, adapter: adapter?.name });
  }
  await forgetAdapter(ctx, lease);
  return run;
}

/** Without a row of the adapter the trigger watches the old vectors for nothing. */
async function forgetAdapter(ctx: MigrationContext, lease: Lease): Promise<void> {
  const { record, table, target } = await resolveMigration(ctx);
  const { adaptedModelId } = record;
  if (adaptedModelId === null || (await hasVectorsOf(ctx, target, adaptedModelId))) return;
  const { stateSchema } = ctx.runtime;
  await withTableLock(ctx, table, 'fill', async (tx) => {
    await assertLease(tx, stateSchema, record.id, lease.token);
    if (record.active === 'old') await createTrigger(tx, { ...target, adapted: undefined }, record.id, table.oid);
    await updateRecord(tx, stateSchema, record.id, { adaptedModelId: null });
  });
}
