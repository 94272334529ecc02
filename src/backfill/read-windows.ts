import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../db/types.ts';
import { readWindowSql, type WindowOptions } from '../sql/read-window.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { SourceRow } from './types.ts';

export interface WindowLimits {
  readonly rows: number;
  readonly bytes: number;
}

export interface Window {
  /** In key order; empty when none is pending. */
  readonly rows: readonly SourceRow[];
  /** True when nothing was pending behind these rows. */
  readonly isLast: boolean;
}

/** One window of pending rows behind `cursor`. */
export async function readWindow(
  db: Queryable,
  target: VectorTarget,
  options: Omit<WindowOptions, 'afterCursor'>,
  cursor: readonly string[] | null,
  limits: WindowLimits,
): Promise<Window> {
  const sql = readWindowSql(target, { ...options, afterCursor: cursor !== null });
  const { rows } = await db.query<Record<string, string> & { candidates: number }>(sql, [
    ...(cursor ?? []),
    limits.rows,
    limits.bytes,
  ]);
  const candidates = rows[0]?.candidates ?? 0;
  return {
    rows: rows.map((row) => ({ key: target.key.map((_, i) => row[`k${i}`] ?? ''), text: row.text ?? '' })),
    isLast: candidates < limits.rows && rows.length === candidates,
  };
}

/** How long to wait before a walk that follows one without any success: locked rows are usually free a moment later. */
export async function pauseBeforePass(fruitless: number, signal: AbortSignal | undefined): Promise<void> {
  if (fruitless === 0) return;
  const milliseconds = Math.min(5_000, 100 * 2 ** (fruitless - 1));
  await sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
