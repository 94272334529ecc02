import type { Running } from '../../helpers/fault-process.ts';
import type { Random } from '../../helpers/fault-random.ts';
import type { ScriptedServer } from '../../helpers/scripted-server.ts';
import type { TcpProxy } from '../../helpers/tcp-proxy.ts';
import type { Application } from './application.ts';
import type { Book } from './book.ts';
import type { Stage } from './commands.ts';
import type { Count, Violation } from './judge.ts';
import type { Phase, Watch } from './watch.ts';

/** Everything that a fault can act on, and where what is found is written down. */
export interface World {
  readonly random: Random;
  /** Straight to the database, not by way of the proxy. */
  readonly url: string;
  readonly watch: Watch;
  readonly proxy: TcpProxy;
  readonly book: Book;
  readonly application: Application;
  /** How long a lock holder holds, in milliseconds. */
  readonly holdMs: number;
  /** Where a small file system can be filled; only in the runs that fill it. */
  readonly disk: SmallDisk | undefined;
  /** The embedding service; only in the runs where it misbehaves. */
  readonly service: ScriptedServer | undefined;
  start(stage: Stage, env?: Readonly<Record<string, string>>): Running;
  violate(count: Count, what: string): void;
  readonly violations: readonly Violation[];
  /** What is worth a line in the report and no violation. */
  readonly remarks: string[];
  /** Each command, what was thrown at it, and its seconds. */
  readonly timings: string[];
}

export interface SmallDisk {
  fill(): Promise<void>;
  free(): Promise<void>;
}

/** The command that a fault hits. */
export interface Victim {
  readonly running: Running;
  readonly stage: Stage;
  readonly phase: Phase;
  /** As the victim was started, for those that come after it. */
  readonly env: Readonly<Record<string, string>>;
}

export type Mend = () => Promise<void> | void;

export interface FaultKind {
  readonly name: string;
  readonly phases: readonly Phase[];
  readonly needs?: 'own server' | 'root' | 'service';
  /** What is wrong from the command's start on. Given this alone, it counts as thrown when the command begins. */
  readonly before?: (
    world: World,
  ) => Promise<{ readonly env?: Readonly<Record<string, string>>; readonly mend?: Mend }>;
  /** Breaks something while the command is in the phase; what it gives back mends it when the command has ended. False when it came too late. */
  readonly strike?: (world: World, victim: Victim) => Promise<Mend | undefined | false>;
}
