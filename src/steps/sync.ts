import { setTimeout as sleep } from 'node:timers/promises';
import type { OnProgress } from '../progress.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { waitWhilePaused } from '../throttle/paused.ts';
import { isBusy } from './sync-failure.ts';
import { readOtherHolder, type SyncProviders } from './sync-pass.ts';
import {
  closeProviders,
  countedPass,
  hasWork,
  lookAgain,
  openProviders,
  type SyncOptions,
  type SyncResult,
  type SyncRun,
} from './sync-run.ts';
import { runWorker } from './sync-worker.ts';

const ROUNDS = 5;
const BUSY_PAUSE_MS = 500;
const SAID_MS = 3_600_000;

/**
 * Keeps the vectors of a migration's table current while the application writes: before the swap the new column, after it the one that is
 * served, by the migration's model, and the kept one by the old model where it is configured (`from`), so that going back finds nothing to do.
 * The lease is taken for a pass and given back: a swap, an exchange back and knex's migrations run beside it.
 *
 * @throws PreflightError `not_expanded`, `definition_changed`, `served_model_changed`, `old_dimensions`; InterruptedError when `once` is stopped;
 *   ProviderError when a service refuses the first pass, or `once` does not reach it
 */
export async function sync(ctx: MigrationContext, options: SyncOptions = {}): Promise<SyncResult> {
  const quiet = { ...ctx, onProgress: onlyNews(ctx.onProgress) };
  const run: SyncRun = { passes: 0, written: 0, writtenOld: 0, failedOld: 0, look: undefined, lookMs: 0 };
  const ended = options.once === true ? await runOnce(quiet, run) : await runWorker(quiet, run, options);
  const { passes, written, writtenOld, look } = run;
  return {
    step: 'sync',
    changed: written + writtenOld > 0,
    ended,
    passes,
    written,
    writtenOld,
    pending: look?.pending ?? 0,
    missingOld: look?.missingOld ?? null,
  };
}

async function runOnce(ctx: MigrationContext, run: SyncRun): Promise<'once'> {
  const providers = openProviders(ctx);
  try {
    for (let round = 1; round <= ROUNDS; ) {
      throwIfStopped(ctx, 'sync');
      const progressed = await roundInTurn(ctx, run, providers);
      if (progressed === 'nothing left' || (progressed === 0 && round > 1)) break;
      if (progressed === 'not our turn') await pause(ctx);
      else round++;
    }
    await lookAgain(ctx, run);
  } finally {
    await closeProviders(providers);
  }
  if (run.written + run.writtenOld > 0) {
    const { written, writtenOld } = run;
    await recordEvent(ctx.db, ctx.runtime.stateSchema, ctx.definition.id, 'synced', { written, writtenOld });
  }
  return 'once';
}

/** @returns rows written: 0 also where those that are left stay as they are, in quarantine or locked */
async function roundInTurn(
  ctx: MigrationContext,
  run: SyncRun,
  providers: SyncProviders,
): Promise<number | 'nothing left' | 'not our turn'> {
  try {
    await lookAgain(ctx, run);
    if (!hasWork(ctx, run)) return 'nothing left';
    // Before the lease is taken: a rollback must not wait for whoever paused this.
    await waitWhilePaused(ctx);
    return (await readOtherHolder(ctx)) === undefined ? await countedPass(ctx, run, providers) : 'not our turn';
  } catch (error) {
    if (isBusy(error)) return 'not our turn';
    throw error;
  }
}

/** A pass says what a long run would say again and again: its steps and rows are left out, and the rest is said once an hour. */
function onlyNews(onProgress: OnProgress): OnProgress {
  const said = new Map<string, number>();
  return (event) => {
    if (event.kind !== 'notice' && event.kind !== 'warning') return;
    const now = performance.now();
    for (const [message, at] of said) if (now - at > SAID_MS) said.delete(message);
    if (said.has(event.message)) return;
    said.set(event.message, now);
    onProgress(event);
  };
}

async function pause(ctx: MigrationContext): Promise<void> {
  await sleep(BUSY_PAUSE_MS, undefined, ctx.signal === undefined ? {} : { signal: ctx.signal }).catch(() => undefined);
}
