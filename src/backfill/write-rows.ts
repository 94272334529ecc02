import { count } from '../amounts.ts';
import { limitStatements } from '../db/limit-statements.ts';
import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { MigrationContext } from '../state/context.ts';
import type { Throttle } from '../throttle/start-throttle.ts';
import { withRetries } from './retry.ts';
import { type EmbeddedRow, type WriteTarget, writeBatch } from './write-batch.ts';
import { writePartitions } from './write-partitions.ts';
import type { WriteSize } from './write-size.ts';

/** How a run writes: shared by all of its windows. */
export interface Writer {
  readonly throttle: Pick<Throttle, 'beforeWrite' | 'wrote'>;
  readonly size: WriteSize;
}

/**
 * Writes the rows of a window in as many statements as the present size asks for. One that runs into `statement_timeout` is tried again with
 * half of its rows, down to one.
 *
 * @returns the number of rows written, as `writeBatch` counts them
 */
export async function writeRows(
  ctx: MigrationContext,
  to: WriteTarget,
  rows: readonly EmbeddedRow[],
  { throttle, size }: Writer,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { statementTimeoutMs, maxRetries } = ctx.runtime;
  const onRetry = (message: string): void => ctx.onProgress({ kind: 'warning', message });
  const tried = <T>(work: () => Promise<T>): Promise<T> =>
    signal?.aborted === true ? work() : withRetries(work, { attempts: maxRetries, signal, onRetry });
  const isPartitioned = rows.some((row) => row.part !== undefined);
  const write = (batch: readonly EmbeddedRow[]): Promise<number> =>
    isPartitioned
      ? ctx.db.transaction((tx) => writePartitions(tx, to, batch), { statementTimeoutMs })
      : writeBatch(limitStatements(ctx.db, statementTimeoutMs), to, batch);
  let written = 0;
  for (let at = 0; at < rows.length; ) {
    await throttle.beforeWrite();
    const batch = rows.slice(at, at + size.rows());
    const outcome = await tried(() => writeOnce(() => write(batch), batch.length > 1));
    if (outcome === 'timed out') {
      size.timedOut(batch.length);
      const message = `A write of ${count(batch.length, 'row')} ran into the statement timeout of ${statementTimeoutMs} ms; it goes on with ${size.rows()}.`;
      ctx.onProgress({ kind: 'notice', message });
      continue;
    }
    size.wrote(batch.length, outcome.milliseconds);
    throttle.wrote(batch.length, outcome.milliseconds);
    written += outcome.written;
    at += batch.length;
  }
  return written;
}

/** A time-out of rows that can be divided is no failure: the same statement would fail again. */
async function writeOnce(
  write: () => Promise<number>,
  divisible: boolean,
): Promise<{ readonly written: number; readonly milliseconds: number } | 'timed out'> {
  const started = performance.now();
  try {
    return { written: await write(), milliseconds: performance.now() - started };
  } catch (error) {
    if (divisible && sqlStateOf(error) === SQLSTATE.queryCanceled) return 'timed out';
    throw error;
  }
}
