import { createForecast } from './forecast.ts';
import type { BackfillJob, RunningJob } from './job.ts';
import { withRetries } from './retry.ts';
import { type SizeSample, sampleSizes } from './sample-sizes.ts';
import type { Checkpoint } from './types.ts';
import type { DoneWindow } from './walk.ts';

const CHECKPOINT_MS = 500;

export interface Totals {
  written: number;
  quarantined: number;
  tokens: number;
  truncated: number;
}

export interface Reporter {
  /** Tells progress, and keeps the cursor in the state a few times a second. */
  settle(done: DoneWindow): Promise<void>;
  /** Keeps the last cursor of a run that ends before its time, if that can be done. */
  keep(): Promise<void>;
  /** Waits for what still asks the database. */
  close(): Promise<void>;
}

/** Adds each window that is done to `totals`, and tells about it. */
export function createReporter(job: RunningJob, totals: Totals): Reporter {
  const forecast = createForecast(job.source.maxTokens);
  let rowsTotal = job.rowsTotal;
  let sampling: Promise<void> | undefined;
  let lastCheckpoint = 0;
  let unsaved: Checkpoint | undefined;

  function learn({ sizes, pending }: SizeSample): void {
    forecast.learnSizes(sizes);
    rowsTotal ??= job.rowsDone + totals.written + pending;
  }

  function tell(): void {
    const done = job.rowsDone + totals.written;
    if (rowsTotal === undefined) return;
    const { rowRate, tokenRate, etaSeconds } = forecast.look(Math.max(0, rowsTotal - done));
    const share = job.throttle.share();
    const total = Math.max(done, rowsTotal);
    const slowed = share < 1 ? { share } : {};
    job.ctx.onProgress({ kind: 'rows', done, total, rate: rowRate, tokenRate, etaSeconds, ...slowed });
  }

  return {
    async settle(window) {
      totals.written += window.written;
      totals.quarantined += window.quarantined;
      totals.tokens += window.tokens;
      totals.truncated += window.truncated;
      forecast.add(window);
      tell();
      // Not before the first window: where it is the only one, nobody needs to know.
      sampling ??= sample(job).then(learn, () => undefined);
      unsaved = { cursor: window.last, ...totals };
      if (Date.now() - lastCheckpoint < CHECKPOINT_MS) return;
      lastCheckpoint = Date.now();
      const checkpoint = unsaved;
      const retry = { attempts: job.ctx.runtime.maxRetries, signal: job.signal };
      await withRetries(async () => job.onCheckpoint?.(checkpoint), retry);
      unsaved = undefined;
    },
    async keep() {
      // The next start merely walks over rows that are done already, should this fail as well.
      if (unsaved !== undefined) await job.onCheckpoint?.(unsaved).catch(() => undefined);
    },
    close: async () => sampling,
  };
}

/** Without an estimate of what is left (0) there is nothing to forecast; vectors to be mapped are all of one size, and only counted. */
async function sample({ ctx, to, rowsTotal, source }: BackfillJob): Promise<SizeSample> {
  const isMapping = source.needs === 'vector';
  if (rowsTotal === 0 || (isMapping && rowsTotal !== undefined)) return { sizes: [], pending: 0 };
  const found = await sampleSizes(ctx.db, to.target, to.modelId);
  return isMapping ? { ...found, sizes: [] } : found;
}
