import { type AdaptedRows, readAdaptedRows } from '../inspect/adapted-rows.ts';
import { adaptedRowsText } from '../inspect/adapted-text.ts';
import type { RowTally } from '../inspect/row-counts.ts';
import type { MigrationContext } from '../state/context.ts';
import { resolveMigration } from '../state/resolve.ts';

/** Says before a swap how many rows go into service with an adapter's vector, and how good that is known to be; null where none does. */
export async function tellAdapted(
  ctx: MigrationContext,
  { total, skipped }: Pick<RowTally, 'total' | 'skipped'>,
): Promise<AdaptedRows | null> {
  const { target } = await resolveMigration(ctx);
  const adapted = await readAdaptedRows(ctx, target);
  if (adapted === undefined || adapted.rows === 0) return null;
  const held = adaptedRowsText(adapted, total - skipped);
  // What nobody measured, or can look up, deserves more than a line among others.
  const kind = adapted.retention === null ? 'warning' : 'notice';
  ctx.onProgress({ kind, message: `${held}; "reembed backfill --replace-adapted" embeds their texts, at any time.` });
  return adapted;
}
