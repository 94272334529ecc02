import type { MigrationContext } from '../state/context.ts';
import { assertLease } from '../state/lease.ts';
import { findRecord, resolveMigration } from '../state/resolve.ts';
import { undoExchange } from '../swap/undo.ts';
import { fillOld } from './fill-old.ts';
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
    const { stragglers } = await undoExchange(leased, resolved, {
      guard: (tx) => assertLease(tx, leased.runtime.stateSchema, leased.definition.id, lease.token),
      fillMissing: leased.definition.from === undefined ? undefined : () => fillOld(leased, lease),
    });
    // Under steady writers a few rows may have come in with the exchange itself.
    if (stragglers > 0) await fillOld(leased, lease);
    return { step: 'cut-over', changed: true };
  });
}
