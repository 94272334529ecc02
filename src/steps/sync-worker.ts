import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { InterruptedError, messageOf } from '../errors.ts';
import { notifyChannel } from '../sql/notify-trigger.ts';
import type { MigrationContext } from '../state/context.ts';
import { describeLease } from '../state/lease.ts';
import { readHold } from '../state/pause.ts';
import { readSyncMark, removeSyncMark, writeSyncMark } from '../state/sync-mark.ts';
import { installNotifyTrigger, removeNotifyTrigger } from '../swap/notify-trigger.ts';
import { pausedText } from '../throttle/paused.ts';
import { isBusy, isOutage } from './sync-failure.ts';
import { readOtherHolder } from './sync-pass.ts';
import {
  closeProviders,
  countedPass,
  hasWork,
  isGone,
  lookAgain,
  openProviders,
  type SyncOptions,
  type SyncResult,
  type SyncRun,
} from './sync-run.ts';
import { openWaker } from './wake.ts';

const POLL_MS = 5_000;
/** Others wait for the lease no longer than this and the batches in flight. */
const PASS_MS = 2_000;
/** Longer than the quarter of a second in which those who wait for the lease look again. */
const TURN_MS = 600;
/** A look reads the table where no index helps: it may take a tenth of the time. */
const LOOK_SHARE = 9;
const LEAST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 60_000;
const END_LIMIT_MS = 5_000;

type Turn =
  | { readonly kind: 'idle' | 'more' | 'ended' }
  | { readonly kind: 'waiting'; readonly problem: string; readonly outage: boolean };

/** The loop of a worker: looks, embeds what is there, waits. */
export async function runWorker(
  ctx: MigrationContext,
  run: SyncRun,
  options: SyncOptions,
): Promise<SyncResult['ended']> {
  const pollMs = options.pollMs ?? POLL_MS;
  const holder = `${hostname()}:${process.pid}:${randomBytes(3).toString('hex')}`;
  const notify = await startNotify(ctx, options);
  const waker = openWaker(ctx, notify ? notifyChannel(ctx.definition.id) : undefined);
  let providers = openProviders(ctx);
  let failures = 0;
  try {
    for (;;) {
      if (ctx.signal?.aborted === true) return 'stopped';
      const turn = await takeTurn(ctx, run, providers).catch((error: unknown) => failedTurn(ctx, run, error));
      if (turn === undefined) return 'undone';
      if (turn.kind === 'ended') return 'finalized';
      const problem = turn.kind === 'waiting' ? turn.problem : null;
      failures = turn.kind === 'waiting' && turn.outage ? failures + 1 : 0;
      if (failures > 0) {
        // A provider that could not be opened would be as it is for ever.
        await closeProviders(providers);
        providers = openProviders(ctx);
      }
      const pause = pauseAfter(turn, run.lookMs, pollMs, failures);
      await mark(ctx, run, {
        holder,
        problem,
        listening: waker.isListening(),
        dueSeconds: Math.ceil(pause.most / 1000),
      });
      await nap(ctx, pause.least);
      await waker.wait(Math.max(0, pause.most - pause.least));
    }
  } catch (error) {
    if (error instanceof InterruptedError && ctx.signal?.aborted === true) return 'stopped';
    throw error;
  } finally {
    await waker.close();
    await closeProviders(providers);
    await leave(ctx, holder, notify);
  }
}

async function takeTurn(
  ctx: MigrationContext,
  run: SyncRun,
  providers: Parameters<typeof countedPass>[2],
): Promise<Turn> {
  const { phase } = await lookAgain(ctx, run);
  if (!hasWork(ctx, run)) return { kind: phase === 'finalized' ? 'ended' : 'idle' };
  const other = await readOtherHolder(ctx);
  if (other !== undefined) return { kind: 'waiting', problem: `waits for ${describeLease(other)}`, outage: false };
  const { pause } = await readHold(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
  if (pause !== null) return { kind: 'waiting', problem: pausedText(pause), outage: false };
  const until = performance.now() + PASS_MS;
  const written = await countedPass(ctx, run, providers, () => performance.now() > until);
  await lookAgain(ctx, run);
  return { kind: written > 0 && hasWork(ctx, run) ? 'more' : 'idle' };
}

/** @returns undefined when the migration was undone meanwhile */
function failedTurn(ctx: MigrationContext, run: SyncRun, error: unknown): Turn | undefined {
  if (run.look !== undefined && isGone(error)) return undefined;
  const problem = messageOf(error);
  if (isBusy(error)) return { kind: 'waiting', problem, outage: false };
  if (!isOutage(error, run.written + run.writtenOld > 0)) throw error;
  ctx.onProgress({ kind: 'warning', message: `${problem} It is tried again until it works.` });
  return { kind: 'waiting', problem, outage: true };
}

interface Pause {
  /** Not even a NOTIFY ends it earlier. */
  readonly least: number;
  readonly most: number;
}

function pauseAfter(turn: Turn, lookMs: number, pollMs: number, failures: number): Pause {
  if (turn.kind === 'more') return { least: TURN_MS, most: TURN_MS };
  if (turn.kind === 'waiting' && turn.outage) {
    const most = Math.min(LONGEST_PAUSE_MS, 1_000 * 2 ** Math.min(failures, 6));
    return { least: most, most };
  }
  const least = Math.max(LEAST_PAUSE_MS, Math.min(LONGEST_PAUSE_MS, lookMs * LOOK_SHARE));
  return { least, most: Math.max(least, turn.kind === 'waiting' ? TURN_MS * 2 : pollMs) };
}

async function nap(ctx: MigrationContext, milliseconds: number): Promise<void> {
  await sleep(milliseconds, undefined, ctx.signal === undefined ? {} : { signal: ctx.signal }).catch(() => undefined);
}

async function startNotify(ctx: MigrationContext, options: SyncOptions): Promise<boolean> {
  if (options.notify !== true) {
    // A killed worker's trigger would go on to cost every writer.
    const { db, runtime, definition } = ctx;
    const other = await readSyncMark(db, runtime.stateSchema, definition.id);
    if (other?.alive !== true) await removeNotifyTrigger(ctx);
    return false;
  }
  if (ctx.db.embedded) {
    ctx.onProgress({ kind: 'notice', message: 'On the embedded Postgres nobody else writes: sync polls.' });
    return false;
  }
  await installNotifyTrigger(ctx);
  return true;
}

async function mark(
  ctx: MigrationContext,
  { look }: SyncRun,
  state: { holder: string; problem: string | null; listening: boolean; dueSeconds: number },
): Promise<void> {
  const { pending = 0, missingOld = null } = look ?? {};
  const seen = { ...state, pending, missingOld };
  // It tells others; where it cannot be written, the work goes on.
  await writeSyncMark(ctx.db, ctx.runtime.stateSchema, ctx.definition.id, seen).catch(() => undefined);
}

/** Takes away what a worker has beside it; what cannot be taken now, the next one, finalize or 005's down does. */
async function leave(ctx: MigrationContext, holder: string, notify: boolean): Promise<void> {
  const ending = { ...ctx, signal: AbortSignal.timeout(END_LIMIT_MS) };
  await removeSyncMark(ctx.db, ctx.runtime.stateSchema, ctx.definition.id, holder).catch(() => undefined);
  if (!notify) return;
  await removeNotifyTrigger(ending).catch((error: unknown) => {
    if (isGone(error)) return;
    const message = `The trigger that wakes sync could not be dropped; the next sync or finalize does it: ${messageOf(error)}`;
    ctx.onProgress({ kind: 'warning', message });
  });
}
