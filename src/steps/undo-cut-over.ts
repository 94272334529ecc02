import { providerSource } from '../backfill/provider-source.ts';
import { runBackfill } from '../backfill/run-backfill.ts';
import { PreflightError } from '../errors.ts';
import type { MigrationContext } from '../state/context.ts';
import { assertLease, type Lease } from '../state/lease.ts';
import { findRecord, oldVectorTarget, resolveMigration } from '../state/resolve.ts';
import { undoExchange } from '../swap/undo.ts';
import { lazyProvider } from './provider.ts';
import { withLease } from './with-lease.ts';

export interface UndoCutOverResult {
  readonly step: 'cut-over';
  readonly changed: boolean;
}

/**
 * 007 down: exchanges back. Rows without an old vector are filled by the old model where it is configured (`from`).
 *
 * @throws IntegrityError when rows would be left without a vector; PreflightError when the old column was dropped, naming the backup
 */
export async function undoCutOver(ctx: MigrationContext): Promise<UndoCutOverResult> {
  const record = await findRecord(ctx);
  if (record === undefined || record.active === 'old') return { step: 'cut-over', changed: false };
  return withLease(ctx, 'cut-over', async ({ ctx: leased, lease }) => {
    const resolved = await resolveMigration(leased);
    await undoExchange(leased, resolved, {
      guard: (tx) => assertLease(tx, leased.runtime.stateSchema, leased.definition.id, lease.token),
      fillMissing: leased.definition.from === undefined ? undefined : () => fillOld(leased, lease),
    });
    return { step: 'cut-over', changed: true };
  });
}

/** Embeds with the old model what has no old vector: rows inserted or edited since the swap. */
async function fillOld(ctx: MigrationContext, lease: Lease): Promise<void> {
  const { from, id } = ctx.definition;
  const { record, table, extension } = await resolveMigration(ctx);
  const old = oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  if (from === undefined || old === undefined) return;
  if (old.dimensions !== 0 && old.dimensions !== from.dimensions) {
    throw new PreflightError(
      'old_dimensions',
      `${old.schema}.${old.table}.${old.column} is ${old.vectorType}(${old.dimensions}), the old model ${from.model} makes ${from.dimensions} dimensions.`,
      {
        step: 'cut-over',
        hint: 'Correct "from" in reembed.config.ts (or EMBEDDING_OLD_MODEL and EMBEDDING_OLD_DIMENSIONS).',
      },
    );
  }
  const provider = lazyProvider(ctx, from);
  try {
    const source = providerSource(await provider.get());
    const plain = { ...old, provenance: undefined };
    await runBackfill({
      ctx,
      to: { target: plain, modelId: 0, vectorOid: extension.vectorOid, fence: { migrationId: id, token: lease.token } },
      source,
      cursor: null,
      rowsDone: 0,
      rowsTotal: 0,
      signal: ctx.signal,
      onCheckpoint: undefined,
    });
  } finally {
    await provider.close();
  }
}
