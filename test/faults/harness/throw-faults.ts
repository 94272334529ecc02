import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Exit, Running } from '../../helpers/fault-process.ts';
import { type Stage, UNLOCK } from './commands.ts';
import { OUTPACED } from './outpaced.ts';
import { isIn, type Phase } from './watch.ts';
import type { FaultKind, Mend, World } from './world.ts';

export interface PlannedFault {
  readonly kind: FaultKind;
  readonly phase: Phase;
}

/** What became of a planned fault: `missed` came too late, which is nobody's failure. */
export interface ThrownFault {
  readonly kind: string;
  readonly phase: Phase;
  readonly thrown: boolean;
}

/** A command that fails so often with nothing thrown at it does not recover. */
const MAX_QUIET_FAILURES = 6;
/** Nothing takes so long, not on the busiest machine. */
const HUNG_MS = 120_000;
/** What no user should see, whatever was thrown. */
const INTERNAL = /TypeError|ReferenceError|RangeError|Unhandled|triggerUncaughtException|node:internal\/errors/;

/** Runs a stage's command again and again, with one fault after the other thrown at it, until it succeeds. */
export async function runStage(world: World, stage: Stage, faults: readonly PlannedFault[]): Promise<ThrownFault[]> {
  const left = [...faults];
  const thrown: ThrownFault[] = [];
  let quieter = false;
  let last: string | undefined;
  for (let quiet = 0; quiet < MAX_QUIET_FAILURES; ) {
    const fault = left.shift();
    const work = (): ReturnType<typeof runOnce> => runOnce(world, stage, fault);
    const began = performance.now();
    const attempt = await (quieter ? world.application.pause(work) : work());
    const seconds = (performance.now() - began) / 1000;
    world.timings.push(`${stage.name} ${fault?.kind.name ?? '-'} ${seconds.toFixed(1)}`);
    if (fault !== undefined) thrown.push({ kind: fault.kind.name, phase: fault.phase, thrown: attempt.thrown });
    const internal = attempt.exit.output.search(INTERNAL);
    if (internal >= 0)
      world.violate('errors', `${stage.name} printed ${attempt.exit.output.slice(internal, internal + 2_000)}`);
    if (attempt.exit.code === 0) {
      return [...thrown, ...left.map(({ kind, phase }) => ({ kind: kind.name, phase, thrown: false }))];
    }
    if (!attempt.thrown) quiet += 1;
    quieter ||= OUTPACED.test(attempt.exit.output);
    if (fault !== undefined && attempt.thrown) last = fault.kind.name;
    await heed(world, stage, attempt, last);
  }
  world.violate('left', `${stage.name} does not recover`);
  throw new Error(`${stage.name} does not recover: ${world.remarks.at(-1)}`);
}

/** Does what the message asks its reader to do. */
async function heed(world: World, stage: Stage, attempt: Attempt, last: string | undefined): Promise<void> {
  const { exit, thrown } = attempt;
  if (OUTPACED.test(exit.output)) world.remarks.push(`${stage.name} asked the writers to pause`);
  else if (!thrown) world.remarks.push(`${stage.name} failed again: ${tail(exit)}`);
  if (!/already locked|migrate:unlock/.test(exit.output) || /held by a running process/.test(exit.output)) return;
  const asked = `${stage.name} asked for "knex migrate:unlock"`;
  world.remarks.push(asked);
  // A process that was killed in a step has left its name with the lock: nobody should have to free it.
  if (last !== undefined && /^(kill -9|orphaned|SIGSTOP)/.test(last)) world.violate('left', asked);
  await world.start(UNLOCK).exit;
}

interface Attempt {
  readonly exit: Exit;
  readonly thrown: boolean;
}

async function runOnce(world: World, stage: Stage, fault: PlannedFault | undefined): Promise<Attempt> {
  const mends: Mend[] = [];
  try {
    const before = await fault?.kind.before?.(world);
    if (before?.mend !== undefined) mends.push(before.mend);
    const env = before?.env ?? {};
    const running = world.start(stage, env);
    let thrown = before !== undefined && fault?.kind.strike === undefined;
    if (fault?.kind.strike !== undefined && (await reach(world, running, fault))) {
      const mend = await fault.kind.strike(world, { running, stage, phase: fault.phase, env });
      thrown = mend !== false;
      if (typeof mend === 'function') mends.push(mend);
    }
    return { exit: await ended(world, stage, running), thrown };
  } finally {
    for (const mend of mends) await mend();
  }
}

/** Waits for the phase and a random moment in it. @returns false when the command had ended before */
async function reach(world: World, running: Running, { phase, kind }: PlannedFault): Promise<boolean> {
  const { random, watch } = world;
  const holds = phase === 'exchange' && kind.name !== 'lock holder at the swap' && random.chance(0.5);
  const delay = random.whole(0, phase === 'exchange' && !holds ? 25 : 300);
  const holder = holds ? new pg.Client({ connectionString: world.url, application_name: 'application' }) : undefined;
  holder?.on('error', () => undefined);
  let holding = false;
  try {
    while (!running.hasExited()) {
      const sight = await watch.look();
      // A reader in the way makes the exchange wait, so that the waiting is hit as well.
      if (holder !== undefined && !holding && (sight.building || isIn(phase, sight))) {
        holding = true;
        await holder.connect();
        await holder.query('BEGIN');
        await holder.query('LOCK TABLE segments IN ACCESS SHARE MODE');
      }
      if (isIn(phase, sight)) {
        await sleep(delay);
        return !running.hasExited();
      }
      await sleep(2);
    }
    return false;
  } finally {
    if (holding) await holder?.end().catch(() => undefined);
  }
}

async function ended(world: World, stage: Stage, running: Running): Promise<Exit> {
  const timer = setTimeout(() => {
    world.violate('left', `${stage.name} hung: ${running.output().slice(-300)}`);
    running.signal('SIGKILL');
  }, HUNG_MS);
  try {
    return await running.exit;
  } finally {
    clearTimeout(timer);
  }
}

function tail({ code, signal, output }: Exit): string {
  return `${code ?? signal}: ${output.trim().slice(-400)}`;
}
