import { countPendingUpTo } from '../backfill/count-pending.ts';
import type { BackfillJob } from '../backfill/job.ts';
import { providerSource } from '../backfill/provider-source.ts';
import { runBackfill } from '../backfill/run-backfill.ts';
import type { ModelReference } from '../config/types.ts';
import { IntegrityError, PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import type { Lease } from '../state/lease.ts';
import { clearQuarantine, listQuarantine, type QuarantinedRow, readClock } from '../state/quarantine.ts';
import { oldVectorTarget, resolveMigration } from '../state/resolve.ts';
import { type LazyProvider, lazyProvider } from './provider.ts';

const SHOWN_ROWS = 3;

export interface FillOldOptions {
  /** A provider of the old model that outlives this call; one is opened and closed unless given. */
  readonly provider?: LazyProvider;
  /** Rows that the old model cannot embed are counted, not refused. */
  readonly countFailed?: boolean;
  readonly isOver?: BackfillJob['isOver'];
}

export interface FillOldResult {
  readonly written: number;
  /** Rows that the old model cannot embed. */
  readonly failed: number;
}

/**
 * Embeds with the old model (`from`) what has no old vector: rows inserted or edited since the swap. With none of them the model is
 * not loaded.
 *
 * @throws PreflightError `old_dimensions`; IntegrityError `old_vectors_missing` for rows that the old model cannot embed, unless they
 *   are accepted or counted
 */
export async function fillOld(
  ctx: MigrationContext,
  lease: Lease,
  options: FillOldOptions = {},
): Promise<FillOldResult> {
  const { from, id } = ctx.definition;
  const { stateSchema } = ctx.runtime;
  const { record, table, extension } = await resolveMigration(ctx);
  const old = oldVectorTarget(record, table, extension, stateSchema);
  const nothing = { written: 0, failed: 0 };
  if (from === undefined || old === undefined) return nothing;
  refuseOtherDimensions(old, from);
  const target = { ...old, provenance: undefined };
  if ((await countPendingUpTo(ctx.db, target, 0, id, 1)) === 0) return nothing;
  const provider = options.provider ?? lazyProvider(ctx, from);
  const since = await readClock(ctx.db);
  try {
    const { written, quarantined } = await runBackfill({
      ctx,
      to: { target, modelId: 0, vectorOid: extension.vectorOid, fence: { migrationId: id, token: lease.token } },
      source: providerSource(await provider.get()),
      cursor: null,
      rowsDone: 0,
      rowsTotal: 0,
      signal: ctx.signal,
      onCheckpoint: undefined,
      isOver: options.isOver,
    });
    const counted = options.countFailed === true || ctx.runtime.rollback === 'accept-missing';
    if (quarantined === 0 || counted) return { written, failed: quarantined };
    const rows = await listQuarantine(ctx.db, stateSchema, id, SHOWN_ROWS);
    throw notEmbedded(old, from, quarantined, rows);
  } finally {
    if (options.provider === undefined) await provider.close();
    // What the old model failed on says nothing about the new one, whose quarantine this is.
    if (options.countFailed === true) await clearQuarantine(ctx.db, stateSchema, id, since);
    else await clearQuarantine(ctx.db, stateSchema, id);
  }
}

function refuseOtherDimensions(old: VectorTarget, from: ModelReference): void {
  if (old.dimensions === 0 || old.dimensions === from.dimensions) return;
  throw new PreflightError(
    'old_dimensions',
    `${old.schema}.${old.table}.${old.column} is ${old.vectorType}(${old.dimensions}), the old model ${from.model} makes ${from.dimensions} dimensions.`,
    {
      step: 'cut-over',
      hint: 'Correct "from" in reembed.config.ts (or EMBEDDING_OLD_MODEL and EMBEDDING_OLD_DIMENSIONS).',
    },
  );
}

function notEmbedded(
  old: VectorTarget,
  from: ModelReference,
  count: number,
  rows: readonly QuarantinedRow[],
): IntegrityError {
  const named = rows.map((row) => `${row.key.join('/')} (${row.reason})`).join('; ');
  return new IntegrityError(
    'old_vectors_missing',
    `${count} ${plural(count, 'row')} of ${old.schema}.${old.table} ${plural(count, 'has', 'have')} no old vector, and ${from.model} makes none for ${plural(count, 'it', 'them')}: ${named}.`,
    {
      step: 'cut-over',
      hint: 'Correct these rows or the old model and run the same command again, or set REEMBED_ROLLBACK=accept-missing to leave them without a vector.',
      context: { missing: count, column: old.column },
    },
  );
}
