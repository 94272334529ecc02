import { AdapterError, IntegrityError, messageOf, PreflightError, ReembedError } from '../errors.ts';
import type { MigrationContext } from '../state/context.ts';
import { findRecord } from '../state/resolve.ts';
import { stateExists } from '../state/schema.ts';
import { type AdapterMark, markEnded } from './adapter-mark.ts';
import { undoCutOver } from './undo-cut-over.ts';
import { undoExpand } from './undo-expand.ts';
import { undoFill } from './undo-fill.ts';

/** Codes of the gate, which judges the vectors like a verification. */
const GATE = new Set(['gate_refused', 'gate_no_verdict']);

/** Whether a failure says that the vectors are not good enough. What can be waited for, or configured, leaves everything to be gone on with. */
export function isVerdict(error: unknown): boolean {
  if (error instanceof AdapterError || error instanceof IntegrityError) return true;
  return error instanceof PreflightError && GATE.has(error.code);
}

/**
 * Takes back what a migration by an adapter has done: the swap, the vectors, and the column where that call has added it.
 *
 * @returns the error to throw: what was found, and that the table is as before
 * @throws AdapterError `undo_failed` when taking it back failed, with the command that does
 */
export async function undoAdapter(ctx: MigrationContext, mark: AdapterMark, reason: unknown): Promise<AdapterError> {
  ctx.onProgress({ kind: 'warning', message: `Taking everything back: ${messageOf(reason)}` });
  try {
    if ((await findRecord(ctx))?.active === 'new') await undoCutOver(ctx);
    await (mark.expandedBefore ? undoFill(ctx) : undoExpand(ctx));
    if (await stateExists(ctx.db, ctx.runtime.stateSchema)) {
      await markEnded(ctx, 'adapter-undone', { projection: mark.projection, reason: messageOf(reason) });
    }
  } catch (cause) {
    throw new AdapterError('undo_failed', `${messageOf(reason)} Taking it back failed as well: ${messageOf(cause)}`, {
      step: 'adapter',
      hint: 'Run "reembed rollback" where the swap has happened, then "reembed down".',
      context: { projection: mark.projection, reason: codeOf(reason), undo: codeOf(cause) },
      cause,
    });
  }
  return new AdapterError(
    'adapter_undone',
    `${messageOf(reason)} The migration by "${mark.projection}" was undone: ${ctx.definition.table.name} is as it was before.`,
    {
      step: 'adapter',
      hint: hintOf(reason),
      context: { projection: mark.projection, reason: codeOf(reason) },
      cause: reason,
    },
  );
}

function codeOf(error: unknown): string | undefined {
  return error instanceof ReembedError ? error.code : undefined;
}

function hintOf(reason: unknown): string {
  const own = reason instanceof ReembedError ? reason.hint : undefined;
  return (
    own ?? 'Train on more samples or another kind with "reembed adapter train", or embed the texts: "reembed backfill".'
  );
}
