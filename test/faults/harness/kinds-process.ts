import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { waitFor } from '../../helpers/fault-watch.ts';
import { OUTPACED } from './outpaced.ts';
import type { FaultKind, Victim, World } from './world.ts';

const EVERYWHERE = ['expand', 'fill', 'build', 'exchange', 'finish', 'rollback', 'finalize'] as const;
/** Whoever comes second says so, and names the first, in one of these ways; on a fresh database knex itself parts them. */
const GIVES_WAY =
  /is being worked on|migration lock is held|already locked|held by a running process|was not run|create table "knex_migrations|duplicate key value/;

/** What the processes that work suffer. */
export const PROCESS_KINDS: readonly FaultKind[] = [
  {
    name: 'kill -9',
    phases: EVERYWHERE,
    async strike(world, victim) {
      if (!(await end(victim, 'SIGKILL'))) return false;
      // An operator who sees the orphan of a build may end it, which leaves the index INVALID.
      if (world.random.chance(0.5)) await terminate(world);
      return undefined;
    },
  },
  {
    name: 'orphaned index build',
    phases: ['build'],
    // An old snapshot, for which the build waits in its last phase: none ends before its worker is killed.
    async before({ url }) {
      const reader = await openSession(url);
      await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await reader.query('SELECT 1');
      return { mend: () => reader.end() };
    },
    async strike(world, victim) {
      if (!(await end(victim, 'SIGKILL'))) return false;
      await terminate(world);
      return undefined;
    },
  },
  {
    name: 'SIGTERM',
    phases: EVERYWHERE,
    async strike(world, victim) {
      if (victim.running.hasExited()) return false;
      victim.running.signal('SIGTERM');
      const { code, signal, output } = await victim.running.exit;
      // Ended by the signal itself: it came before the first step or after the last one.
      const stopped = signal === 'SIGTERM' || /Stopped by SIGTERM|stopping at the next safe place/.test(output);
      if (code !== 0 && !stopped)
        world.violate('left', `SIGTERM ended it with ${code ?? signal}: ${output.slice(-300)}`);
      return undefined;
    },
  },
  { name: 'SIGSTOP past the lease', phases: ['fill'], strike: sleepPastLease },
  ...[2, 8].map(
    (count): FaultKind => ({
      name: count === 2 ? 'two workers' : 'eight workers',
      phases: ['expand', 'fill', 'build', 'rollback', 'finalize'],
      // Nobody dies here: a lease that a starved machine would lose makes no test.
      before: async () => ({ env: { REEMBED_LEASE_SECONDS: '20' } }),
      strike: (world, victim) => crowd(world, victim, count - 1),
    }),
  ),
  {
    name: 'clock jumped',
    phases: EVERYWHERE,
    async before({ random }) {
      const hours = 3_600_000;
      const [offset, jump] = [random.whole(-48, 48) * hours, random.pick([-1, 1]) * random.whole(1, 24) * hours];
      const clock = join(import.meta.dirname, '../project/shift-clock.mjs');
      return {
        env: {
          NODE_OPTIONS: `--import=${clock}`,
          REEMBED_TEST_CLOCK: [offset, jump, random.whole(300, 900)].join(','),
        },
      };
    },
  },
];

async function end({ running }: Victim, signal: NodeJS.Signals): Promise<boolean> {
  if (running.hasExited()) return false;
  running.signal(signal);
  return (await running.exit).signal === signal;
}

async function terminate({ watch }: World): Promise<void> {
  for (const pid of await watch.sessions()) await watch.query('SELECT pg_terminate_backend($1)', [pid]);
}

export async function openSession(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'application' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** The heir is put to sleep as well once it has the lease: whatever is written from then on, the first one has written. */
async function sleepPastLease(world: World, victim: Victim) {
  const { watch } = world;
  const sleeper = victim.running;
  sleeper.signal('SIGSTOP');
  if (sleeper.hasExited()) return false;
  if (!(await ownsLease(world, sleeper.pid))) {
    // The step that was seen is that of a worker killed a moment ago, whose lease this one waits for: it may well work when it wakes.
    sleeper.signal('SIGCONT');
    return false;
  }
  const before = await readToken(world);
  const heir = world.start(victim.stage, victim.env);
  await waitFor(
    'the heir to take over',
    async () => heir.hasExited() || (await readToken(world)) !== before || undefined,
  );
  heir.signal('SIGSTOP');
  await waitFor('no statement to run', async () => (await working(world)) === 0 || undefined);
  await sleep(50);
  const { rows } = await watch.query<{ at: string }>('SELECT clock_timestamp()::text AS at');
  const at = rows[0]?.at ?? '';
  sleeper.signal('SIGCONT');
  const woken = await sleeper.exit;
  const written = await watch.query('SELECT 1 FROM segments WHERE embedding_384_at > $1::timestamptz', [at]);
  if (written.rowCount > 0)
    world.violate('stale', `${written.rowCount} rows were written by a worker whose lease was over`);
  if (woken.code === 0 && !heir.hasExited()) world.violate('left', 'a worker whose lease was over ended with success');
  heir.signal('SIGCONT');
  const { code, output } = await heir.exit;
  if (code !== 0) world.remarks.push(`the heir ended with ${code}: ${output.slice(-200)}`);
  return undefined;
}

async function ownsLease({ watch }: World, pid: number): Promise<boolean> {
  const { rowCount } = await watch.query(`SELECT 1 FROM reembed.leases WHERE holder LIKE '%:' || $1::text || ':%'`, [
    String(pid),
  ]);
  return rowCount > 0;
}

async function readToken({ watch }: World): Promise<string> {
  const { rows } = await watch.query<{ token: string }>('SELECT token::text AS token FROM reembed.leases');
  return rows[0]?.token ?? '';
}

async function working({ watch }: World): Promise<number> {
  const { rows } = await watch.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'reembed' AND state = 'active'`,
  );
  return rows[0]?.count ?? 0;
}

/** One works; the others end and say that it does, or find nothing left to do. */
async function crowd(world: World, victim: Victim, more: number) {
  if (victim.running.hasExited()) return false;
  const { service } = world;
  // Long enough for the others to meet it at work.
  if (service !== undefined) service.rule = () => ({ kind: 'ok', delayMs: 400 });
  const others = Array.from({ length: more }, () => world.start(victim.stage, victim.env));
  const exits = await Promise.all([victim.running, ...others].map((running) => running.exit));
  // Then the same command comes again, with the writers at rest.
  if (exits.some(({ output }) => OUTPACED.test(output))) return undefined;
  for (const { code, signal, output } of exits) {
    if (code === 0 || GIVES_WAY.test(output)) continue;
    world.violate('left', `one of ${more + 1} workers ended with ${code ?? signal}: ${output.slice(-300)}`);
  }
  if (exits.every(({ code }) => code !== 0)) world.violate('left', `none of ${more + 1} workers did the work`);
  return undefined;
}
