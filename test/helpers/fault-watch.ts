import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../../src/db/types.ts';

/** Asks again and again until the answer is not undefined; with generous patience, because nothing here is about speed. */
export async function waitFor<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  options: { readonly seconds?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const { seconds = 60, everyMs = 10 } = options;
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > until) throw new Error(`waited ${seconds} s in vain for: ${what}`);
    await sleep(everyMs);
  }
}

/** Which step a process is in by its lease: `fill`, or `after fill` when it only keeps knex's lock; undefined before any. */
export async function stepOf(db: Queryable, pid: number): Promise<string | undefined> {
  if (!(await hasState(db))) return undefined;
  const { rows } = await db.query<{ step: string }>(
    `SELECT step FROM reembed.leases WHERE holder LIKE '%:' || $1::text || ':%'`,
    [String(pid)],
  );
  return rows[0]?.step;
}

export async function hasState(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>(`SELECT to_regclass('reembed.leases') IS NOT NULL AS found`);
  return rows[0]?.found === true;
}

/** Sessions of reembed's processes; the observer's own goes by another name. */
export async function workerSessions(db: Queryable): Promise<{ pid: number; state: string; query: string }[]> {
  const { rows } = await db.query<{ pid: number; state: string; query: string }>(
    `SELECT pid, state, query FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'reembed'`,
  );
  return rows;
}

/** Waits until the server has noticed that a killed process is gone; a build that goes on without it is left to the next run. */
export async function waitForQuiet(db: Queryable): Promise<void> {
  await waitFor('the sessions of the killed process to end', async () => {
    const busy = (await workerSessions(db)).filter((session) => !/INDEX CONCURRENTLY/.test(session.query));
    return busy.length === 0 ? true : undefined;
  });
}
