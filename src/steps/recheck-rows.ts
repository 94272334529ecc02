import { PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import type { MigrationContext } from '../state/context.ts';
import { resolveMigration } from '../state/resolve.ts';
import { forgetEditedRows } from '../swap/forget-edited-rows.ts';

/**
 * Makes rows pending again whose text is not the one that was embedded: edited past the trigger (`session_replication_role`, a disabled
 * trigger). Reads every text.
 *
 * @throws PreflightError `already_swapped`; BusyError `rows_locked`
 */
export async function recheckRows(ctx: MigrationContext): Promise<void> {
  const resolved = await resolveMigration(ctx);
  const { record } = resolved;
  if (record.active === 'new') {
    throw new PreflightError(
      'already_swapped',
      `"${record.column}" is in use with the new vectors: whether a text or its vector came last from the application is not known there.`,
      {
        step: 'fill',
        hint: 'Run "reembed verify --full", which names the rows, and let the application write their texts again.',
      },
    );
  }
  const count = await forgetEditedRows(ctx, resolved, 'fill');
  ctx.onProgress({
    kind: 'notice',
    message:
      count === 0
        ? 'Every text is the one that was embedded.'
        : `${count} ${plural(count, 'row is', 'rows are')} pending again: the text is not the one that was embedded.`,
  });
}
