import pLimit from 'p-limit';
import { hasQuarantine } from '../state/quarantine.ts';
import type { BackfillJob, RunningJob } from './job.ts';
import { produceWindow, type WindowResult, writeWindow } from './process-window.ts';
import { mappedTarget, readVectorWindow } from './read-vectors.ts';
import { readLastKey, readWindow, type Window } from './read-windows.ts';
import { withRetries } from './retry.ts';
import type { SourceRow, Walked } from './types.ts';

/** Windows that are read ahead of those that are embedded and written. */
const READ_AHEAD = 1;
/** What an application edits during a short walk is left to 007's catch-up: while it writes, there is always something. */
export const FEW_ROWS = 500;

/** A window that is done, and all before it. */
export interface DoneWindow extends WindowResult {
  readonly rows: number;
  /** UTF-8 bytes of each text, in key order. */
  readonly sizes: readonly number[];
  readonly last: readonly string[];
}

interface Flight {
  readonly window: Pick<DoneWindow, 'rows' | 'sizes' | 'last'>;
  /** Never rejects: its failure is met in key order. */
  readonly ended: Promise<void>;
  /** Without a result where the run was halted before the window was begun. */
  outcome: { readonly result: WindowResult | undefined } | { readonly error: unknown } | undefined;
}

/**
 * One walk over the rows that were pending when it began, in three stages that all work at the same time: windows are read ahead,
 * `concurrency` of them are embedded while `writers` others are written. Each stage waits when the one behind it is slower: so many windows
 * and one more are in memory at most. They finish in any order; `settle` gets them in key order, without a gap.
 */
export async function walk(
  job: RunningJob,
  from: readonly string[] | null,
  settle: (done: DoneWindow) => Promise<void>,
): Promise<Walked> {
  const { concurrency, writers } = job.ctx.runtime;
  const read = await openReader(job);
  const flights: Flight[] = [];
  const start = launcher(job, flights);
  const walked = { rows: 0, progressed: 0, few: [] as SourceRow[] };
  let gap = false;
  const settleFirst = async (): Promise<void> => {
    const flight = flights.shift();
    await flight?.ended;
    if (flight?.outcome === undefined) return;
    if ('error' in flight.outcome) throw flight.outcome.error;
    const { result } = flight.outcome;
    gap ||= result === undefined;
    if (gap || result === undefined) return;
    walked.progressed += result.written + result.quarantined;
    await settle({ ...flight.window, ...result });
  };
  try {
    for (let cursor = from; ; ) {
      const busy = flights.filter((flight) => flight.outcome === undefined);
      if (busy.length >= concurrency + writers + READ_AHEAD) await Promise.race(busy.map((flight) => flight.ended));
      while (flights[0]?.outcome !== undefined) await settleFirst();
      if (isHalted(job, flights) || job.isOver?.() === true) break;
      const window = await read(cursor);
      const last = window.rows.at(-1);
      if (last === undefined) break;
      cursor = last.key;
      walked.rows += window.rows.length;
      if (walked.rows <= FEW_ROWS) walked.few.push(...window.rows);
      flights.push(start(window, last.key));
      if (window.isLast) break;
    }
    while (flights.length > 0) await settleFirst();
  } finally {
    await Promise.all(flights.map((flight) => flight.ended));
  }
  return walked;
}

/** Reads up to the key that is the last one now: rows that are inserted behind it meanwhile are for the next walk, or this one might never end. */
async function openReader(job: BackfillJob): Promise<(after: readonly string[] | null) => Promise<Window>> {
  const { ctx, to } = job;
  const { batchRows, batchBytes, maxRetries, stateSchema } = ctx.runtime;
  const retry = { attempts: maxRetries, signal: job.signal };
  const upTo = await withRetries(() => readLastKey(ctx.db, to.target), retry);
  // Rows that this walk puts into quarantine lie behind its cursor.
  const skipQuarantined = await withRetries(() => hasQuarantine(ctx.db, stateSchema, ctx.definition.id), retry);
  const options = { modelId: to.modelId, migrationId: ctx.definition.id, skipQuarantined };
  const limits = { rows: batchRows, bytes: batchBytes };
  if (upTo === null) return async () => ({ rows: [], isLast: true });
  const { source } = job;
  if (source.needs === 'text') {
    return (after) => withRetries(() => readWindow(ctx.db, to.target, options, { after, upTo }, limits), retry);
  }
  const target = mappedTarget(to.target);
  const reading = { ...options, upTo, limits, dimensions: source.dimensions };
  return (after) => withRetries(() => readVectorWindow(ctx.db, target, reading, after, source.takeMemory()), retry);
}

function launcher(job: RunningJob, flights: readonly Flight[]) {
  const { ctx, source, to, signal, throttle, size } = job;
  const produce = pLimit(ctx.runtime.concurrency);
  const write = pLimit(ctx.runtime.writers);

  async function run(window: Window): Promise<WindowResult | undefined> {
    let entered = false;
    try {
      const produced = await produce(async () => {
        if (isHalted(job, flights)) return undefined;
        const mayBegin = await throttle.enter();
        entered = true;
        return !mayBegin || isHalted(job, flights) ? undefined : produceWindow(ctx, source, window, signal);
      });
      if (produced === undefined) return undefined;
      return await write(() => writeWindow(ctx, to, produced, { throttle, size }, signal));
    } finally {
      if (entered) throttle.leave();
    }
  }

  return (read: Window, last: readonly string[]): Flight => {
    const { rows } = read;
    const sizes = rows.map((row) => Buffer.byteLength(row.text));
    const ended = run(read).then(
      (result) => {
        flight.outcome = { result };
      },
      (error: unknown) => {
        flight.outcome = { error };
        throttle.giveUp();
      },
    );
    const flight: Flight = { window: { rows: rows.length, sizes, last }, ended, outcome: undefined };
    return flight;
  };
}

/** Nothing new is begun once the run is asked to stop or a window has failed; what is embedded already is still written. */
function isHalted(job: BackfillJob, flights: readonly Flight[]): boolean {
  return job.signal?.aborted === true || flights.some(({ outcome }) => outcome !== undefined && 'error' in outcome);
}
