import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../helpers/fault-random.ts';
import type { Step } from '../../helpers/scripted-steps.ts';
import type { FaultKind, World } from './world.ts';

const SOON = { 'retry-after-ms': '20' };
const STEPS: readonly Step[] = [
  { kind: 'status', status: 429, headers: SOON },
  { kind: 'status', status: 500, headers: SOON },
  { kind: 'status', status: 503, headers: SOON },
  { kind: 'reset' },
  { kind: 'cut' },
  { kind: 'silent' },
  { kind: 'stall' },
  { kind: 'malformed' },
  { kind: 'misordered' },
  { kind: 'too-few' },
  { kind: 'too-many' },
  { kind: 'duplicated' },
  { kind: 'misnumbered' },
  { kind: 'zero', at: 1 },
  { kind: 'nan', at: 1 },
];

/** What an embedding service does, alone or while the worker is killed. */
export const PROVIDER_KINDS: readonly FaultKind[] = [
  { name: 'provider', phases: ['fill'], needs: 'service', strike: misbehave },
  {
    name: 'misordered answers',
    phases: ['fill'],
    needs: 'service',
    // To the end of the run: such a service is one that answers in the order in which it is done.
    async before({ service }) {
      if (service !== undefined) service.rule = () => ({ kind: 'misordered' });
      return {};
    },
  },
  {
    name: 'provider and kill -9',
    phases: ['fill'],
    needs: 'service',
    async strike(world, victim) {
      const mend = await misbehave(world);
      await sleep(world.random.whole(20, 500));
      victim.running.signal('SIGKILL');
      return mend;
    },
  },
];

async function misbehave({ service, random }: World) {
  if (service === undefined) return false as const;
  service.rule = () => badStep(random);
  return () => {
    service.rule = slowly;
  };
}

function badStep(random: Random): Step {
  return random.chance(0.4) ? random.pick(STEPS) : slowly();
}

/** Long enough for rows to be edited while their vectors are made. */
export function slowly(): Step {
  return { kind: 'ok', delayMs: 15 };
}
