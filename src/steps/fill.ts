import type { BackfillJob } from '../backfill/job.ts';
import type { BackfillResult } from '../backfill/types.ts';
import { IntegrityError } from '../errors.ts';
import { type AdaptedRows, readAdaptedRows } from '../inspect/adapted-rows.ts';
import { type RowTally, tallyRows } from '../inspect/row-counts.ts';
import { plural } from '../plural.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import type { Lease } from '../state/lease.ts';
import { clearQuarantine, listQuarantine } from '../state/quarantine.ts';
import { resolveMigration } from '../state/resolve.ts';
import { updateUnderLease } from '../state/update-under-lease.ts';
import { finishUndo } from '../swap/undo.ts';
import { assertSameDefinition } from './definition-change.ts';
import { ensureTrigger } from './ensure-trigger.ts';
import { fillOld } from './fill-old.ts';
import { fillPending } from './fill-pending.ts';
import { type LazyProvider, lazyProvider } from './provider.ts';
import { recheckRows } from './recheck-rows.ts';
import { replaceAdaptedRows } from './replace-adapted.ts';
import { withLease } from './with-lease.ts';

export interface FillResult {
  readonly step: 'fill';
  readonly changed: boolean;
  readonly rows: RowTally;
  readonly run: BackfillResult | undefined;
  /** Vectors that an adapter made; undefined where there is none. */
  readonly adapted: AdaptedRows | undefined;
}

export interface FillOptions {
  /** First compares every text with the hash of what was embedded, and embeds anew where an edit went past the trigger. */
  readonly recheck?: boolean;
  /** Embeds the texts of exactly the rows that an adapter filled, and nothing else, before or after the swap. */
  readonly replaceAdapted?: boolean;
}

/**
 * 006 up: embeds every pending row. Resumable at any point; with nothing pending no provider, model or key is touched. After the swap it
 * embeds the rows that have no vector at all; what the application wrote there is its own.
 *
 * @throws IntegrityError `contamination` when more rows are in quarantine than `maxQuarantined`; InterruptedError when stopped
 */
export async function fill(ctx: MigrationContext, options: FillOptions = {}): Promise<FillResult> {
  return withLease(ctx, 'fill', async ({ ctx: leased, lease }) => {
    const { record, table } = await resolveMigration(leased);
    await assertSameDefinition(leased, record, table, 'fill');
    if (options.recheck === true) await recheckRows(leased);
    const provider = lazyProvider(leased, leased.definition);
    try {
      if (options.replaceAdapted === true) return await replaceAdapted(leased, lease, provider);
      return await (record.active === 'new' ? fillMissing : fillLeased)(leased, lease, provider);
    } finally {
      await provider.close();
    }
  });
}

/** After the swap: rows without any vector, which nobody finds. */
async function fillMissing(ctx: MigrationContext, lease: Lease, provider: LazyProvider): Promise<FillResult> {
  return filled(ctx, await fillPending(ctx, lease, provider));
}

async function filled(ctx: MigrationContext, run: BackfillResult | undefined): Promise<FillResult> {
  const { record, target } = await resolveMigration(ctx);
  const rows = await tallyRows(ctx.db, target, record.modelId, record.id);
  return { step: 'fill', changed: run !== undefined, rows, run, adapted: await readAdaptedRows(ctx, target) };
}

async function replaceAdapted(ctx: MigrationContext, lease: Lease, provider: LazyProvider): Promise<FillResult> {
  await retryQuarantined(ctx);
  const result = await filled(ctx, await replaceAdaptedRows(ctx, lease, provider));
  await refuseQuarantined(ctx, result.rows);
  return result;
}

/** The same under a lease that is already held: 007's catch-up, which gives `afterWalk` to end where it cannot settle. */
export async function fillLeased(
  ctx: MigrationContext,
  lease: Lease,
  provider: LazyProvider,
  afterWalk?: BackfillJob['afterWalk'],
): Promise<FillResult> {
  await ensureTrigger(ctx, await resolveMigration(ctx));
  await finishUndo(ctx, 'fill', () => fillOld(ctx, lease));
  await retryQuarantined(ctx);
  const run = await fillPending(ctx, lease, provider, { afterWalk });
  const result = await filled(ctx, run);
  const { rows } = result;
  const { record } = await resolveMigration(ctx);
  await refuseQuarantined(ctx, rows);
  if (rows.pending > 0) {
    const were = plural(rows.pending, 'row was', 'rows were');
    const message = `${rows.pending} ${were} written meanwhile and pending again; 007 (or the same command) embeds what is left.`;
    ctx.onProgress({ kind: 'notice', message });
  }
  if (record.active === 'old') {
    await updateUnderLease(ctx, lease, { phase: 'backfilled', cursor: null });
  }
  if (run !== undefined) {
    await recordEvent(ctx.db, ctx.runtime.stateSchema, record.id, 'backfilled', { ...run, ...rows });
  }
  return result;
}

/** Rows that would end this run in a refusal get another try: the model, its files or its service may have been corrected. */
async function retryQuarantined({ db, definition, runtime }: MigrationContext): Promise<void> {
  const limit = runtime.maxQuarantined;
  const rows = await listQuarantine(db, runtime.stateSchema, definition.id, limit + 1);
  if (rows.length > limit) await clearQuarantine(db, runtime.stateSchema, definition.id);
}

async function refuseQuarantined(ctx: MigrationContext, rows: RowTally): Promise<void> {
  if (rows.quarantined <= ctx.runtime.maxQuarantined) return;
  const examples = await listQuarantine(ctx.db, ctx.runtime.stateSchema, ctx.definition.id, 3);
  const named = examples.map((row) => `${row.key.join('/')} (${row.reason})`).join('; ');
  throw new IntegrityError(
    'contamination',
    `Vector store contamination detected: ${rows.quarantined} ${plural(rows.quarantined, 'row is', 'rows are')} in quarantine, ${ctx.runtime.maxQuarantined} are allowed: ${named}.`,
    {
      step: 'fill',
      hint: 'Correct these rows and run the same command again, or set REEMBED_MAX_QUARANTINED.',
      context: { quarantined: rows.quarantined, allowed: ctx.runtime.maxQuarantined },
    },
  );
}
