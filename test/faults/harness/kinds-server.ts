import { setTimeout as sleep } from 'node:timers/promises';
import { openSession } from './kinds-process.ts';
import { crash } from './own-server.ts';
import type { FaultKind, World } from './world.ts';

const WORKING = ['expand', 'fill', 'build', 'exchange', 'finish', 'rollback', 'finalize'] as const;
/** Longer than deadlock_timeout: whoever waits for these rows meanwhile looks for a deadlock before there is one, and the application would be the victim. */
const BEFORE_CROSSING_MS = 2_000;
const CUT = /terminat|ECONNREFUSED|ECONNRESET|EPIPE|57P0|starting up|shutting down|recovery|not queryable|closed/i;

/** What the server does, or others do on it. */
export const SERVER_KINDS: readonly FaultKind[] = [
  {
    name: 'pg_terminate_backend',
    phases: WORKING,
    async strike({ watch, random }, { running }) {
      const pids = await watch.sessions();
      if (running.hasExited() || pids.length === 0) return false;
      const chosen = random.chance(0.5) ? pids : [random.pick(pids)];
      for (const pid of chosen) await watch.query('SELECT pg_terminate_backend($1)', [pid]);
      return undefined;
    },
  },
  {
    name: 'pg_ctl restart -m immediate',
    phases: WORKING,
    needs: 'own server',
    async strike({ url, watch, book }, { running }) {
      if (running.hasExited()) return false;
      const { rows } = await watch.query<{ data_directory: string }>('SHOW data_directory');
      const explained = book.excuse(CUT);
      await crash(url, rows[0]?.data_directory ?? '');
      return explained;
    },
  },
  {
    name: 'pg_cancel_backend',
    phases: WORKING,
    async strike({ watch }, { running }) {
      const pids = await watch.sessions();
      if (running.hasExited() || pids.length === 0) return false;
      for (const pid of pids) await watch.query('SELECT pg_cancel_backend($1)', [pid]);
      return undefined;
    },
  },
  {
    name: 'cancelled index build',
    phases: ['build'],
    async strike({ watch }, { running }) {
      const { rowCount } = await watch.query(
        'SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index WHERE datname = current_database()',
      );
      return running.hasExited() || rowCount === 0 ? false : undefined;
    },
  },
  {
    name: 'statement timeout',
    phases: WORKING,
    async before({ url, watch, random }) {
      const database = `ALTER DATABASE "${new URL(url).pathname.slice(1)}"`;
      await watch.query(`${database} SET statement_timeout = '${random.whole(20, 200)}ms'`);
      await watch.query(`${database} SET lock_timeout = '${random.whole(5, 50)}ms'`);
      const mend = async (): Promise<void> => {
        await watch.query(`${database} RESET statement_timeout`);
        await watch.query(`${database} RESET lock_timeout`);
      };
      return { mend };
    },
  },
  {
    name: 'lock holder at the swap',
    phases: ['build', 'exchange', 'rollback', 'finalize'],
    async strike(world) {
      const holder = await openSession(world.url);
      await holder.query('BEGIN');
      await holder.query('LOCK TABLE segments IN ACCESS SHARE MODE');
      await sleep(world.holdMs);
      await holder.end();
      return undefined;
    },
  },
  // The application's other clients rest: they might lock each other out in the same way.
  { name: 'deadlock', phases: ['fill'], strike: (world) => world.application.pause(() => crossLocks(world)) },
  {
    name: 'disk full',
    phases: ['fill', 'build'],
    needs: 'root',
    async strike({ disk, book, random }, { running }) {
      if (running.hasExited() || disk === undefined) return false;
      const explained = book.excuse(/53100|No space left/);
      await disk.fill();
      await Promise.race([running.exit, sleep(random.whole(200, 1_500))]);
      await disk.free();
      return explained;
    },
  },
];

/** Rows all over the table, locked from the last to the first while batches lock theirs from the first to the last. */
async function crossLocks(world: World) {
  const holder = await openSession(world.url);
  try {
    const { rows } = await holder.query<{ id: string }>(
      'SELECT id FROM segments WHERE embedding_384_model IS NULL ORDER BY id DESC',
    );
    const [first, second] = [rows.filter((_, i) => i % 25 === 0), rows.filter((_, i) => i % 25 === 12)];
    if (first.length === 0) return false as const;
    await holder.query('BEGIN');
    const lock = 'SELECT 1 FROM segments WHERE id = ANY ($1::bigint[]) ORDER BY id DESC FOR UPDATE';
    await holder.query(lock, [first.map((row) => row.id)]);
    await sleep(BEFORE_CROSSING_MS);
    await holder.query(lock, [second.map((row) => row.id)]);
    await holder.query('COMMIT');
  } catch (error) {
    world.book.note('locks in the other order', error);
  } finally {
    await holder.end();
  }
  return undefined;
}
