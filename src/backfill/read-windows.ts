import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../db/types.ts';
import { lastKeySql, readWindowSql, type WindowOptions } from '../sql/read-window.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { OldWindow, SourceRow } from './types.ts';

export interface WindowLimits {
  readonly rows: number;
  readonly bytes: number;
}

export interface Window {
  /** In key order; empty when none is pending. */
  readonly rows: readonly SourceRow[];
  /** Where vectors are mapped. */
  readonly old?: OldWindow;
  /** True when nothing was pending behind these rows. */
  readonly isLast: boolean;
}

/** One window of pending rows: behind the key `after`, and not behind `upTo`. */
export async function readWindow(
  db: Queryable,
  target: VectorTarget,
  options: Omit<WindowOptions, 'afterCursor' | 'bounded'>,
  range: { readonly after: readonly string[] | null; readonly upTo: readonly string[] | null },
  limits: WindowLimits,
): Promise<Window> {
  const sql = readWindowSql(target, { ...options, afterCursor: range.after !== null, bounded: range.upTo !== null });
  const params = [...(range.after ?? []), limits.rows, limits.bytes, ...(range.upTo ?? [])];
  const { rows } = await db.query<Record<string, string> & { part: string | null; last: true | null }>(sql, params);
  return {
    rows: rows.map((row) => ({
      key: keyOf(target, row),
      text: row.text ?? '',
      version: row.version,
      part: row.part ?? undefined,
    })),
    isLast: rows.length === 0 || (rows.length < limits.rows && rows.at(-1)?.last === true),
  };
}

/** The greatest key of the table at present; null when it is empty. */
export async function readLastKey(db: Queryable, target: VectorTarget): Promise<readonly string[] | null> {
  const { rows } = await db.query<Record<string, string>>(lastKeySql(target));
  return rows[0] === undefined ? null : keyOf(target, rows[0]);
}

function keyOf(target: VectorTarget, row: Readonly<Record<string, unknown>>): readonly string[] {
  return target.key.map((_, i) => String(row[`k${i}`]));
}

/** How long to wait before a walk that follows one without any success: locked rows are usually free a moment later. */
export async function pauseBeforePass(fruitless: number, signal: AbortSignal | undefined): Promise<void> {
  if (fruitless === 0) return;
  const milliseconds = Math.min(5_000, 100 * 2 ** (fruitless - 1));
  await sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
