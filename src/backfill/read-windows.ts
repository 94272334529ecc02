import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../db/types.ts';
import { readWindowSql, type WindowOptions } from '../sql/read-window.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { SourceRow } from './types.ts';

export interface WindowLimits {
  readonly rows: number;
  readonly bytes: number;
}

/** One window of pending rows behind `cursor`, in key order; empty when there is none. */
export async function readWindow(
  db: Queryable,
  target: VectorTarget,
  options: Omit<WindowOptions, 'afterCursor'>,
  cursor: readonly string[] | null,
  limits: WindowLimits,
): Promise<SourceRow[]> {
  const sql = readWindowSql(target, { ...options, afterCursor: cursor !== null });
  const { rows } = await db.query<Record<string, string>>(sql, [...(cursor ?? []), limits.rows, limits.bytes]);
  return rows.map((row) => ({ key: target.key.map((_, i) => row[`k${i}`] ?? ''), text: row.text ?? '' }));
}

/** How long to wait before a walk that follows one without any success: locked rows are usually free a moment later. */
export async function pauseBeforePass(fruitless: number, signal: AbortSignal | undefined): Promise<void> {
  if (fruitless === 0) return;
  const milliseconds = Math.min(5_000, 100 * 2 ** (fruitless - 1));
  await sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
