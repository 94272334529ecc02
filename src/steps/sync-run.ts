import { PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import type { MigrationContext } from '../state/context.ts';
import { lazyProvider } from './provider.ts';
import { lookForPending, type SyncedSide, type SyncLook, type SyncProviders, syncPass } from './sync-pass.ts';

export interface SyncOptions {
  /** Until nothing is pending on either side, then end; else until stopped or finalized. */
  readonly once?: boolean;
  /** Milliseconds between two looks (5,000). */
  readonly pollMs?: number;
  /** Let the table's writers wake the worker: a trigger of one NOTIFY a statement, for as long as it runs. */
  readonly notify?: boolean;
}

export interface SyncResult {
  readonly step: 'sync';
  readonly changed: boolean;
  /** Why it ended. */
  readonly ended: 'once' | 'stopped' | 'finalized' | 'undone';
  readonly passes: number;
  /** Rows embedded with the migration's model, and with the old one. */
  readonly written: number;
  readonly writtenOld: number;
  /** Rows left without a vector of their text at the last look; up to 1,000 are counted. */
  readonly pending: number;
  /** The same in the kept old column; null before the swap, and where it was dropped. */
  readonly missingOld: number | null;
}

/** Where a run stands; both forms count in it. */
export interface SyncRun {
  passes: number;
  written: number;
  writtenOld: number;
  /** Rows that the old model could not embed: waiting for no more than these, there is nothing to do. */
  failedOld: number;
  look: SyncLook | undefined;
  /** How long that look took. */
  lookMs: number;
}

/** What is to be done now; told where it cannot be done. */
export async function lookAgain(ctx: MigrationContext, run: SyncRun): Promise<SyncLook> {
  const started = performance.now();
  const look = await lookForPending(ctx);
  run.look = look;
  run.lookMs = performance.now() - started;
  sayMissingOld(ctx, look);
  return look;
}

/** A pass, counted in the run. @returns rows written on both sides */
export async function countedPass(
  ctx: MigrationContext,
  run: SyncRun,
  providers: SyncProviders,
  isOver?: () => boolean,
): Promise<number> {
  const before = run.written + run.writtenOld;
  const oldFirst = run.passes % 2 === 1;
  run.passes++;
  await syncPass(ctx, providers, { isOver, oldFirst, onSide: (synced) => count(ctx, run, synced) });
  return run.written + run.writtenOld - before;
}

function count(ctx: MigrationContext, run: SyncRun, { side, written, failed }: SyncedSide): void {
  if (side === 'new') run.written += written;
  else run.writtenOld += written;
  if (side === 'new') return;
  if (failed > run.failedOld) {
    const rows = plural(failed, 'row');
    ctx.onProgress({
      kind: 'warning',
      message: `${ctx.definition.from?.model} could not embed ${failed} ${rows}, which an exchange back would leave without a vector.`,
    });
  }
  run.failedOld = failed;
}

export function hasWork(ctx: MigrationContext, { look, failedOld }: SyncRun): boolean {
  if (look === undefined) return false;
  const old = ctx.definition.from === undefined ? 0 : (look.missingOld ?? 0);
  return look.pending > 0 || look.recheck || old > failedOld;
}

export function openProviders(ctx: MigrationContext): SyncProviders {
  const { from } = ctx.definition;
  return {
    model: lazyProvider(ctx, ctx.definition),
    old: from === undefined ? undefined : lazyProvider(ctx, from),
  };
}

export async function closeProviders({ model, old }: SyncProviders): Promise<void> {
  await model.close();
  await old?.close();
}

/** Without the old model its rows are counted only. */
function sayMissingOld(ctx: MigrationContext, look: SyncLook): void {
  if (ctx.definition.from !== undefined || look.missingOld === null || look.missingOld === 0) return;
  ctx.onProgress({
    kind: 'notice',
    message:
      'Rows written since the swap have no old vector, and the old model is not configured ("from", or EMBEDDING_OLD_MODEL): they are counted only.',
  });
}

/** Undone beside a running worker: there is nothing left to keep current. */
export function isGone(error: unknown): boolean {
  return error instanceof PreflightError && error.code === 'not_expanded';
}
