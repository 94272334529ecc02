import type { MigrationContext } from '../state/context.ts';
import { assertLease } from '../state/lease.ts';
import { readRecheck } from '../state/recheck.ts';
import { findRecord, resolveMigration } from '../state/resolve.ts';
import { undoExchange } from '../swap/undo.ts';
import { fillOld } from './fill-old.ts';
import { settleRebuild } from './settle-rebuild.ts';
import { withLease } from './with-lease.ts';

export interface UndoCutOverResult {
  readonly step: 'cut-over';
  readonly changed: boolean;
}

/**
 * 007 down: exchanges back. Rows without an old vector are filled by the old model where it is configured (`from`). Resumable at any
 * point: what an interrupted run left after its exchange is done by the next.
 *
 * @throws IntegrityError when rows would be left without a vector; PreflightError when the old column was dropped, naming the backup
 */
export async function undoCutOver(ctx: MigrationContext): Promise<UndoCutOverResult> {
  const record = await findRecord(ctx);
  if (record === undefined) return { step: 'cut-over', changed: false };
  const unfinished = await readRecheck(ctx.db, ctx.runtime.stateSchema, record.id);
  if (record.active === 'old' && unfinished === undefined) return { step: 'cut-over', changed: false };
  return withLease(ctx, 'cut-over', async ({ ctx: leased, lease }) => {
    await settleRebuild(leased, (await resolveMigration(leased)).table, 'back');
    const resolved = await resolveMigration(leased);
    await undoExchange(leased, resolved, {
      guard: (tx) => assertLease(tx, leased.runtime.stateSchema, leased.definition.id, lease.token),
      fillMissing: leased.definition.from === undefined ? undefined : () => fillOld(leased, lease),
    });
    return { step: 'cut-over', changed: true };
  });
}
