import type { TableInfo } from '../db/catalog-types.ts';
import { PreflightError } from '../errors.ts';
import type { MigrationContext } from '../state/context.ts';
import { clearPendingRebuild, readPendingRebuild } from '../state/pending-rebuild.ts';
import { dropRetired, dropUnfinished } from '../swap/rebuild-index.ts';

/**
 * Takes away what an interrupted `tune --rebuild` left, before an exchange would carry it to the other column as an index of its own. On the
 * way forth an index that was dropped first and is not there yet has to be finished: the new column's is made after it.
 *
 * @throws PreflightError `rebuild_unfinished`
 */
export async function settleRebuild(
  ctx: MigrationContext,
  table: TableInfo,
  direction: 'forth' | 'back',
): Promise<void> {
  const { stateSchema } = ctx.runtime;
  const pending = await readPendingRebuild(ctx.db, stateSchema, ctx.definition.id);
  if (pending === undefined) return;
  const { index, exchanged } = pending;
  const present = table.indexes.some(({ name, valid }) => name === index && valid);
  if (direction === 'forth' && !exchanged && !present) {
    throw new PreflightError(
      'rebuild_unfinished',
      `The index ${index} of ${table.schema}.${table.name} was dropped to be built anew, and is not there yet.`,
      { step: 'cut-over', hint: 'Run "reembed tune --rebuild" to finish it, then the same command again.' },
    );
  }
  ctx.onProgress({ kind: 'notice', message: `Taking away what an interrupted rebuild of ${index} left.` });
  await (exchanged ? dropRetired(ctx, table, index) : dropUnfinished(ctx, table, index, 'cut-over'));
  await clearPendingRebuild(ctx.db, stateSchema, ctx.definition.id);
}
