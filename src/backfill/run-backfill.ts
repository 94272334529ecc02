import { IntegrityError } from '../errors.ts';
import { plural } from '../plural.ts';
import { interrupted } from '../state/context.ts';
import { startThrottle } from '../throttle/start-throttle.ts';
import { countHeldBack } from './count-held-back.ts';
import { countPendingUpTo } from './count-pending.ts';
import type { BackfillJob, RunningJob } from './job.ts';
import { warnWhenOutpaced } from './outpaced.ts';
import { pauseBeforePass } from './read-windows.ts';
import { createReporter, type Reporter, type Totals } from './report-progress.ts';
import { withRetries } from './retry.ts';
import type { BackfillResult, Walked } from './types.ts';
import { FEW_ROWS, walk } from './walk.ts';
import { createWriteSize } from './write-size.ts';

const MAX_FRUITLESS_PASSES = 12;
/** Walks of a few rows each, all with success: while the application writes there is always one that it holds just then. */
const MAX_SHORT_WALKS = 30;

/**
 * Walks the table in key order until no row is pending, or only what was edited behind a short walk. Rows that were locked or edited
 * meanwhile come in the next walk.
 *
 * @throws InterruptedError when `signal` aborts: all that was written stays; IntegrityError when rows stay pending although nobody is
 *   seen to hold them, or a batch is refused as contaminated; BusyError `paused` under knex
 */
export async function runBackfill(job: BackfillJob): Promise<BackfillResult> {
  const started = Date.now();
  const totals: Totals = { written: 0, quarantined: 0, tokens: 0, truncated: 0 };
  const { writeTargetMs, batchRows } = job.ctx.runtime;
  const throttle = await startThrottle(job.ctx, job.to.target, job.isOver);
  const running = { ...job, throttle, size: createWriteSize({ targetMs: writeTargetMs, max: batchRows }) };
  const reporter = createReporter(running, totals);
  try {
    const walks = await walkUntilDone(running, reporter);
    if (job.isOver?.() === true) await reporter.keep();
    return { ...totals, passes: Math.max(1, walks - 1), seconds: (Date.now() - started) / 1000 };
  } catch (error) {
    await reporter.keep();
    stopIfAborted(job);
    throw error;
  } finally {
    await reporter.close();
    await throttle.close();
  }
}

/** @returns the number of walks, the last one included, which is the proof that nothing is left */
async function walkUntilDone(job: RunningJob, reporter: Reporter): Promise<number> {
  const warn = warnWhenOutpaced(job);
  let { cursor } = job;
  let fruitless = 0;
  let short = 0;
  for (let pass = 1; ; pass++) {
    await pauseBeforePass(fruitless, job.signal);
    if (pass > 1 && (await isNothingPending(job))) return pass;
    const walked = await walk(job, cursor, reporter.settle);
    stopIfAborted(job);
    if (job.isOver?.() === true) return pass;
    if (cursor === null && (await isComplete(job, walked, pass))) return pass;
    warn(walked, pass);
    job.afterWalk?.(walked);
    short = walked.rows <= FEW_ROWS && walked.progressed > 0 ? short + 1 : 0;
    // What is left then is for the look under the exchange's lock, which decides.
    if (short > MAX_SHORT_WALKS) return pass;
    fruitless = walked.progressed === 0 && cursor === null ? fruitless + 1 : 0;
    if (fruitless > MAX_FRUITLESS_PASSES) throw keptBack(job, walked.rows);
    cursor = null;
  }
}

/**
 * The same proof as a walk that meets nothing, read in the table's own order: in that of the key a table that was written a moment ago takes
 * many times as long, and only fresh statistics would keep the planner from it.
 */
async function isNothingPending({ ctx, to, signal }: BackfillJob): Promise<boolean> {
  const count = (): Promise<number> => countPendingUpTo(ctx.db, to.target, to.modelId, ctx.definition.id, 1);
  const pending = await withRetries(count, { attempts: ctx.runtime.maxRetries, signal });
  return pending === 0;
}

/**
 * A walk from the beginning that met no pending row is the proof that none is left. After one that met a few, none of which is pending with
 * the same text any more, whatever is pending was edited behind it: under steady writers there is no other end.
 */
async function isComplete(job: BackfillJob, walked: Walked, pass: number): Promise<boolean> {
  if (walked.rows === 0) return true;
  if (pass === 1 || walked.rows > FEW_ROWS) return false;
  const { ctx, to } = job;
  const heldBack = await withRetries(
    () => countHeldBack(ctx.db, to.target, to.modelId, ctx.definition.id, walked.few),
    { attempts: ctx.runtime.maxRetries, signal: job.signal },
  );
  return heldBack === 0;
}

function stopIfAborted(job: BackfillJob): void {
  if (job.signal?.aborted !== true) return;
  if (job.signal.reason instanceof Error && job.signal.reason.name === 'BusyError') throw job.signal.reason;
  throw interrupted(job.signal, 'fill');
}

function keptBack(job: BackfillJob, rows: number): IntegrityError {
  const { schema, table } = job.to.target;
  return new IntegrityError(
    'rows_kept_back',
    `${rows} ${plural(rows, 'row')} stayed pending in ${schema}.${table} after ${MAX_FRUITLESS_PASSES} walks: locked by another session, or changed all the time.`,
    { step: 'fill', hint: 'Look for long transactions in pg_stat_activity, then run the same command again.' },
  );
}
