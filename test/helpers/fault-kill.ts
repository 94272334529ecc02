import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../../src/db/types.ts';
import type { Running } from './fault-process.ts';
import { waitFor, waitForQuiet, workerSessions } from './fault-watch.ts';

export interface Kill {
  /** True from the moment on that is to be hit. */
  readonly isDue: () => Promise<boolean>;
  /** How long after that moment. */
  readonly delayMs: number;
}

/**
 * kill -9 of a running command at a chosen moment.
 *
 * @returns false when the command had ended by then, which it must have done well
 */
export async function killAt(db: Queryable, running: Running, kill: Kill): Promise<boolean> {
  const due = async (): Promise<true | undefined> => (running.hasExited() || (await kill.isDue()) ? true : undefined);
  await waitFor('the moment to kill', due, { everyMs: 1 }).catch(async (error: unknown) => {
    const sessions = JSON.stringify(await workerSessions(db), undefined, 1);
    throw new Error(`${String(error)}\n${running.output()}\n${sessions}`, { cause: error });
  });
  await sleep(kill.delayMs);
  const alive = !running.hasExited();
  running.signal('SIGKILL');
  const { code, signal, output } = await running.exit;
  await waitForQuiet(db);
  if (alive && signal === 'SIGKILL') return true;
  if (code !== 0) throw new Error(`the command failed by itself with ${code}:\n${output}`);
  return false;
}

/** Runs a command to its end; what a killed one left must not hinder it. */
export async function succeed(running: Running): Promise<string> {
  const { code, signal, output } = await running.exit;
  if (code !== 0) throw new Error(`the command ended with ${code ?? signal}:\n${output}`);
  return output;
}

/** What must hold at the end of every chain: nothing of the scaffolding stays. */
export async function leftovers(db: Queryable): Promise<unknown[]> {
  const { rows } = await db.query(
    `SELECT 'index' AS kind, c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       WHERE i.indrelid = 'segments'::regclass AND (NOT i.indisvalid OR c.relname LIKE 'reembed%')
     UNION ALL SELECT 'constraint', conname FROM pg_constraint
       WHERE conrelid = 'segments'::regclass AND (conname LIKE 'reembed%' OR NOT convalidated)
     UNION ALL SELECT 'lock', 'knex_migrations_lock' FROM knex_migrations_lock WHERE is_locked <> 0`,
  );
  return rows;
}
