import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../../helpers/fault-watch.ts';
import type { LossOptions } from '../../helpers/tcp-proxy.ts';
import type { FaultKind, Victim, World } from './world.ts';

const WORKING = ['expand', 'fill', 'build', 'exchange', 'finish', 'rollback', 'finalize'] as const;
/** A cut that the worker notices at once. */
const NOTICED_MS = 10_000;

const COMMIT = /^COMMIT/;
const EXCHANGING = /^ALTER TABLE/;

/** What happens on the way between the workers and Postgres. */
export const NETWORK_KINDS: readonly FaultKind[] = [
  {
    name: 'connection reset',
    phases: WORKING,
    async strike({ proxy }, { running }) {
      if (running.hasExited() || proxy.connections() === 0) return false;
      proxy.reset();
      return undefined;
    },
  },
  {
    name: 'blackhole',
    phases: WORKING,
    // Longer than the lease: what was sent before arrives when another may own the migration.
    async strike({ proxy, random }, { running }) {
      if (running.hasExited()) return false;
      proxy.freeze();
      await sleep(random.whole(200, 3_000));
      if (random.chance(0.5)) proxy.reset();
      proxy.thaw();
      return undefined;
    },
  },
  { name: 'half-open', phases: WORKING, strike: halfOpen },
  {
    name: 'COMMIT answer lost',
    phases: ['expand', 'fill', 'exchange', 'rollback', 'finalize'],
    strike: lose({ statement: COMMIT, what: 'answer' }),
  },
  // Armed while the index is built, so that it is never too late.
  {
    name: 'COMMIT answer of the exchange lost',
    phases: ['build'],
    strike: lose({ statement: COMMIT, after: EXCHANGING, what: 'answer' }),
  },
  {
    name: 'COMMIT of the exchange lost',
    phases: ['build'],
    strike: lose({ statement: COMMIT, after: EXCHANGING, what: 'statement' }),
  },
  {
    name: 'write answer lost',
    phases: ['fill'],
    strike: lose({ statement: /^WITH l AS MATERIALIZED/, what: 'answer' }),
  },
];

/** The client waits for an answer that cannot come; whoever runs the command again meanwhile must not have to wait for it. */
async function halfOpen(world: World, { running, stage, env }: Victim) {
  if (running.hasExited() || world.proxy.connections() === 0) return false;
  world.proxy.halfOpen();
  await Promise.race([running.exit, sleep(2_500)]);
  if (running.hasExited()) return undefined;
  world.remarks.push('hung after half-open: ended by hand');
  const heir = world.start(stage, env);
  await Promise.race([heir.exit, sleep(NOTICED_MS)]);
  running.signal('SIGKILL');
  await heir.exit;
  return undefined;
}

function lose(options: LossOptions) {
  return async ({ proxy }: World, { running }: Victim) => {
    const loss = proxy.lose(options);
    await waitFor('something to lose', () => loss.happened() || running.hasExited() || undefined, { everyMs: 2 });
    loss.cancel();
    return loss.happened() ? undefined : (false as const);
  };
}
