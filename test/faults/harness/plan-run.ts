import { createRandom, type Random } from '../../helpers/fault-random.ts';
import type { Habits } from './application.ts';
import { BACKFILL, EXPAND, FILL, FINALIZE, ROLLBACK, type Stage, SWAP } from './commands.ts';
import { KINDS, kindNamed } from './kinds.ts';
import type { PlannedFault } from './throw-faults.ts';
import type { FaultKind } from './world.ts';

export interface PlannedStage {
  readonly stage: Stage;
  readonly faults: readonly PlannedFault[];
}

/** All of a run that its seed decides beforehand; when a fault hits, the machine's speed decides as well. */
export interface RunPlan {
  readonly seed: number;
  readonly habits: Habits;
  /** The model is asked over HTTP. */
  readonly remote: boolean;
  /** The table is in a small tablespace. */
  readonly smallDisk: boolean;
  readonly stages: readonly PlannedStage[];
}

export interface PlanOptions {
  /** Only these kinds; all of them unless given. */
  readonly only?: readonly FaultKind[];
  /** What can be thrown here, e.g. nothing that needs a server of its own. */
  readonly possible?: (kind: FaultKind) => boolean;
  readonly habits?: Habits;
  /** How far the chain goes: also back and forth again; to the dropped old column. Drawn unless given. */
  readonly path?: { readonly back: boolean; readonly finalize: boolean };
}

/** A run that is written down instead of drawn. */
export interface WrittenRun {
  readonly seed: number;
  readonly habits: Habits;
  readonly remote?: boolean;
  readonly smallDisk?: boolean;
  readonly ownServer?: boolean;
  /** Each stage with what is thrown at it, as `kind in phase`. */
  readonly stages: readonly (readonly [Stage, ...string[]])[];
}

export function readPlan(run: WrittenRun): RunPlan {
  const stages = run.stages.map(([stage, ...faults]): PlannedStage => ({ stage, faults: faults.map(readFault) }));
  return { seed: run.seed, habits: run.habits, remote: run.remote === true, smallDisk: run.smallDisk === true, stages };
}

function readFault(text: string): PlannedFault {
  const [name = '', phase] = text.split(' in ');
  const kind = kindNamed(name);
  const found = kind.phases.find((each) => each === phase);
  if (found === undefined) throw new RangeError(`${name} is not thrown in ${phase}`);
  return { kind, phase: found };
}

/** At most so many faults of one stage. */
const MOST_A_STAGE = 2;

export function planRun(seed: number, options: PlanOptions = {}): RunPlan {
  const random = createRandom(seed);
  const { only, possible = () => true } = options;
  const kinds = (only ?? KINDS).filter(possible);
  const remote = kinds.every((kind) => kind.needs === 'service') || (only === undefined && random.chance(0.25));
  const smallDisk = kinds.every((kind) => kind.needs === 'root') || (only === undefined && random.chance(0.1));
  const usable = kinds.filter((kind) => (remote || kind.needs !== 'service') && (smallDisk || kind.needs !== 'root'));
  const path = options.path ?? { back: random.chance(0.4), finalize: random.chance(0.4) };
  const habits = options.habits ?? random.pick(['aware', 'aware', 'text-only', 'strict'] as const);
  const stages = [
    EXPAND,
    ...(random.chance(0.5) ? [BACKFILL] : []),
    FILL,
    SWAP,
    ...(path.back ? [ROLLBACK, SWAP] : []),
    ...(path.finalize ? [FINALIZE] : []),
  ];
  return {
    seed,
    habits,
    remote,
    smallDisk,
    stages: stages.map((stage) => ({ stage, faults: drawFaults(random, stage, usable) })),
  };
}

function drawFaults(random: Random, stage: Stage, kinds: readonly FaultKind[]): PlannedFault[] {
  const fitting = kinds.flatMap((kind) =>
    kind.phases.filter((phase) => stage.phases.includes(phase)).map((phase) => ({ kind, phase })),
  );
  if (fitting.length === 0) return [];
  return Array.from({ length: random.whole(1, MOST_A_STAGE) }, () => random.pick(fitting));
}
