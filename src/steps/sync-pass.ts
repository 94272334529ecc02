import { countPendingUpTo } from '../backfill/count-pending.ts';
import type { RuntimeSettings } from '../config/types.ts';
import type { MigrationContext } from '../state/context.ts';
import { type LeaseRow, readLease } from '../state/lease.ts';
import { readRecheck } from '../state/recheck.ts';
import type { Phase } from '../state/records.ts';
import { oldVectorTarget, resolveMigration } from '../state/resolve.ts';
import { LOOK_LIMIT } from '../state/sync-mark.ts';
import { updateUnderLease } from '../state/update-under-lease.ts';
import { finishUndo } from '../swap/undo.ts';
import { recordedModel } from './adopt-model.ts';
import { hasBlankRows } from './clear-blank-rows.ts';
import { assertSameDefinition } from './definition-change.ts';
import { ensureTrigger } from './ensure-trigger.ts';
import { fillOld } from './fill-old.ts';
import { fillPending } from './fill-pending.ts';
import type { LazyProvider } from './provider.ts';
import { type Leased, withLease } from './with-lease.ts';

/** A pass that others may have to wait for: small batches, and no long tries at a service that is gone. */
const PASS_ROWS = 256;
const PASS_DEADLINE_MS = 20_000;

/** What is to be done, seen without any lock; counts up to `LOOK_LIMIT`. */
export interface SyncLook {
  readonly phase: Phase;
  /** Rows of the new column without a vector of their text. */
  readonly pending: number;
  /** Rows of the kept column without one; null before the swap, and where it was dropped. */
  readonly missingOld: number | null;
  /** An exchange back, or a trigger made anew, left rows to be looked at. */
  readonly recheck: boolean;
}

export interface SyncProviders {
  readonly model: LazyProvider;
  /** Undefined where the old model is not configured. */
  readonly old: LazyProvider | undefined;
}

/** What one side came to. */
export interface SyncedSide {
  readonly side: 'new' | 'old';
  readonly written: number;
  /** Rows that the old model cannot embed. */
  readonly failed: number;
}

/** @throws PreflightError `not_expanded` before 005 and after its undo */
export async function lookForPending(ctx: MigrationContext): Promise<SyncLook> {
  const resolved = await resolveMigration(ctx);
  const { record, table, target, extension } = resolved;
  const { db, runtime } = ctx;
  const old = record.active === 'new' ? oldVectorTarget(record, table, extension, runtime.stateSchema) : undefined;
  const modelId = await recordedModel(ctx, resolved);
  const pending = await countPendingUpTo(db, target, modelId, record.id, LOOK_LIMIT);
  return {
    phase: record.phase,
    // The rows whose vector has to go count as one: what matters is that there is something to do.
    pending: pending === 0 && (await hasBlankRows(ctx, resolved)) ? 1 : pending,
    missingOld:
      old === undefined
        ? null
        : await countPendingUpTo(db, { ...old, provenance: undefined }, 0, record.id, LOOK_LIMIT),
    recheck: record.active === 'old' && (await readRecheck(db, runtime.stateSchema, record.id)) !== undefined,
  };
}

/**
 * Who else works on the migration, or holds its lease under knex: to take over a parked one would rob a killed run's lock of the name
 * by which it is freed.
 */
export async function readOtherHolder(ctx: MigrationContext): Promise<LeaseRow | undefined> {
  const lease = await readLease(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
  return lease === undefined || lease.holder === null || lease.expired ? undefined : lease;
}

export interface PassOptions {
  /** Ends the pass with the batches that are in flight. */
  readonly isOver?: (() => boolean) | undefined;
  /** Under a steady stream of new rows the other side must have its turn. */
  readonly oldFirst?: boolean;
  /** Called as each side is done: a pass may be stopped in the middle. */
  readonly onSide: (synced: SyncedSide) => void;
}

/**
 * Embeds what is pending on both sides, under the lease.
 *
 * @throws as `embedPending` and `fillOld`; BusyError when another process took the lease first
 */
export async function syncPass(ctx: MigrationContext, providers: SyncProviders, options: PassOptions): Promise<void> {
  const { isOver, onSide } = options;
  const passing = isOver === undefined ? ctx : { ...ctx, runtime: shortPasses(ctx.runtime) };
  await withLease(passing, 'sync', async (leased) => {
    const { record, table } = await resolveMigration(leased.ctx);
    await assertSameDefinition(leased.ctx, record, table, 'sync');
    const sides = [
      async () => {
        const fillSide = record.active === 'old' ? fillNew : embedServed;
        onSide({ side: 'new', written: await fillSide(leased, providers, isOver), failed: 0 });
      },
      async () => {
        if (record.active === 'old' || providers.old === undefined) return;
        const old = { isOver, provider: providers.old, countFailed: true };
        onSide({ side: 'old', ...(await fillOld(leased.ctx, leased.lease, old)) });
      },
    ];
    for (const side of options.oldFirst === true ? sides.reverse() : sides) await side();
  });
}

async function embedServed({ ctx, lease }: Leased, providers: SyncProviders, isOver: PassOptions['isOver']) {
  return (await fillPending(ctx, lease, providers.model, { isOver }))?.written ?? 0;
}

/** Before the swap: as 006 does, and with nothing left the migration is as far as after it. */
async function fillNew({ ctx, lease }: Leased, providers: SyncProviders, isOver: PassOptions['isOver']) {
  await ensureTrigger(ctx, await resolveMigration(ctx));
  await finishUndo(ctx, 'sync', () => fillOld(ctx, lease));
  const run = await fillPending(ctx, lease, providers.model, { isOver });
  const { record } = await resolveMigration(ctx);
  if (record.phase !== 'backfilled' && (await lookForPending(ctx)).pending === 0) {
    await updateUnderLease(ctx, lease, { phase: 'backfilled', cursor: null });
  }
  return run?.written ?? 0;
}

function shortPasses(runtime: RuntimeSettings): RuntimeSettings {
  const { remote, batchRows } = runtime;
  return {
    ...runtime,
    batchRows: Math.min(batchRows, PASS_ROWS),
    remote: { ...remote, deadlineMs: Math.min(remote.deadlineMs, PASS_DEADLINE_MS) },
  };
}
