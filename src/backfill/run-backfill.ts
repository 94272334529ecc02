import pLimit from 'p-limit';
import { IntegrityError } from '../errors.ts';
import { interrupted, type MigrationContext } from '../state/context.ts';
import { hasQuarantine } from '../state/quarantine.ts';
import { countHeldBack } from './count-held-back.ts';
import { processWindow, type WindowResult } from './process-window.ts';
import { createRate } from './rate.ts';
import { pauseBeforePass, readWindow, type Window } from './read-windows.ts';
import { withRetries } from './retry.ts';
import type { BackfillResult, Checkpoint, SourceRow, VectorSource } from './types.ts';
import type { WriteTarget } from './write-batch.ts';

const MAX_FRUITLESS_PASSES = 12;
const CHECKPOINT_MS = 500;
/** What an application edits during a short walk is left to 007's catch-up: while it writes, there is always something. */
const FEW_ROWS = 500;

export interface BackfillJob {
  readonly ctx: MigrationContext;
  readonly to: WriteTarget;
  readonly source: VectorSource;
  /** Where the last run stopped; null walks from the beginning. */
  readonly cursor: readonly string[] | null;
  /** For progress: rows done before this run, and the estimate of all. */
  readonly rowsDone: number;
  readonly rowsTotal: number;
  readonly signal: AbortSignal | undefined;
  /** Called a few times a second with what to keep for the next start. */
  readonly onCheckpoint: ((checkpoint: Checkpoint) => Promise<void>) | undefined;
}

interface Totals {
  written: number;
  quarantined: number;
  tokens: number;
  truncated: number;
}

/**
 * Walks the table in key order until no row is pending, or only what was edited behind a short walk. Windows are read ahead while
 * `runtime.concurrency` others are embedded and written; rows that were locked or edited meanwhile come in the next walk.
 *
 * @throws InterruptedError when `signal` aborts: all that was written stays; IntegrityError when rows stay pending although nobody is
 *   seen to hold them, or a batch is refused as contaminated
 */
export async function runBackfill(job: BackfillJob): Promise<BackfillResult> {
  const started = Date.now();
  const totals: Totals = { written: 0, quarantined: 0, tokens: 0, truncated: 0 };
  const report = createReporter(job, totals);
  let cursor = job.cursor;
  let fruitless = 0;
  for (let pass = 1; ; pass++) {
    await pauseBeforePass(fruitless, job.signal);
    const walked = await walk(job, cursor, totals, report);
    stopIfAborted(job);
    if (cursor === null && (await isComplete(job, walked, pass))) {
      return { ...totals, passes: Math.max(1, pass - 1), seconds: (Date.now() - started) / 1000 };
    }
    fruitless = walked.progressed === 0 && cursor === null ? fruitless + 1 : 0;
    if (fruitless > MAX_FRUITLESS_PASSES) throw keptBack(job, walked.rows);
    cursor = null;
  }
}

/**
 * A walk from the beginning that met no pending row is the proof that none is left. After one that met a few, none of which is pending with
 * the same text any more, whatever is pending was edited behind it: under steady writers there is no other end.
 */
async function isComplete(job: BackfillJob, walked: Walked, pass: number): Promise<boolean> {
  if (walked.rows === 0) return true;
  if (pass === 1 || walked.rows > FEW_ROWS) return false;
  const { ctx, to } = job;
  const heldBack = await retried(job, () =>
    countHeldBack(ctx.db, to.target, to.modelId, ctx.definition.id, walked.few),
  );
  return heldBack === 0;
}

interface Walked {
  /** Rows met, written or not. */
  readonly rows: number;
  /** Rows written or put in quarantine. */
  readonly progressed: number;
  /** The rows themselves while they are at most `FEW_ROWS`. */
  readonly few: readonly SourceRow[];
}

type Report = (result: WindowResult, cursor: readonly string[] | null) => Promise<void>;

/** One walk over the pending rows. Windows finish in any order; the cursor moves over those that are done without a gap. */
async function walk(job: BackfillJob, from: readonly string[] | null, totals: Totals, report: Report): Promise<Walked> {
  const limit = pLimit(job.ctx.runtime.concurrency);
  const running: { readonly last: readonly string[]; readonly done: Promise<WindowResult> }[] = [];
  let cursor = from;
  const few: SourceRow[] = [];
  let rows = 0;
  let progressed = 0;
  // Settles the oldest window, so that the cursor never passes one that may still fail.
  const settleOldest = async (): Promise<void> => {
    const oldest = running.shift();
    if (oldest === undefined) return;
    const result = await oldest.done;
    progressed += result.written + result.quarantined;
    addTotals(totals, result);
    await report(result, oldest.last);
  };
  try {
    while (job.signal?.aborted !== true) {
      const window = await readNext(job, cursor);
      const last = window.rows.at(-1);
      if (last === undefined) break;
      rows += window.rows.length;
      if (rows <= FEW_ROWS) few.push(...window.rows);
      cursor = last.key;
      const done = limit(() => processWindow(job.ctx, job.source, job.to, window.rows, job.signal));
      // Its failure is met in settleOldest; until then it must not count as unhandled.
      done.catch(() => undefined);
      running.push({ last: last.key, done });
      while (running.length > job.ctx.runtime.concurrency) await settleOldest();
      // Rows that are inserted at the end meanwhile are for the next walk: chased, they would make this one endless.
      if (window.isLast) break;
    }
    while (running.length > 0) await settleOldest();
  } catch (error) {
    limit.clearQueue();
    await Promise.allSettled(running.slice(0, job.ctx.runtime.concurrency).map((window) => window.done));
    stopIfAborted(job);
    throw error;
  }
  return { rows, progressed, few };
}

async function readNext(job: BackfillJob, cursor: readonly string[] | null): Promise<Window> {
  const { ctx, to } = job;
  const limits = { rows: ctx.runtime.batchRows, bytes: ctx.runtime.batchBytes };
  return retried(job, async () => {
    const skipQuarantined = await hasQuarantine(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
    const options = { modelId: to.modelId, migrationId: ctx.definition.id, skipQuarantined };
    return readWindow(ctx.db, to.target, options, cursor, limits);
  });
}

/** A lost connection must cost a moment, not the run: everything in the walk that asks the database can be asked again. */
function retried<T>(job: BackfillJob, work: () => Promise<T>): Promise<T> {
  return withRetries(work, { attempts: job.ctx.runtime.maxRetries, signal: job.signal });
}

function addTotals(totals: Totals, result: WindowResult): void {
  totals.written += result.written;
  totals.quarantined += result.quarantined;
  totals.tokens += result.tokens;
  totals.truncated += result.truncated;
}

/** Tells progress after each window, and keeps the cursor in the state a few times a second. */
function createReporter(job: BackfillJob, totals: Totals): Report {
  const rate = createRate();
  let lastCheckpoint = 0;
  return async (result, cursor) => {
    rate.add(result.written);
    const done = job.rowsDone + totals.written;
    const perSecond = rate.perSecond();
    const left = Math.max(0, job.rowsTotal - done);
    const etaSeconds = perSecond > 0 ? left / perSecond : undefined;
    job.ctx.onProgress({ kind: 'rows', done, total: Math.max(done, job.rowsTotal), rate: perSecond, etaSeconds });
    if (Date.now() - lastCheckpoint < CHECKPOINT_MS) return;
    lastCheckpoint = Date.now();
    await retried(job, async () => job.onCheckpoint?.({ cursor, ...totals }));
  };
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
    `${rows} rows of ${schema}.${table} stayed pending after ${MAX_FRUITLESS_PASSES} walks: they are locked by another session or change all the time.`,
    { step: 'fill', hint: 'Look for long transactions in pg_stat_activity, then run the same command again.' },
  );
}
