import type { MigrationContext } from '../state/context.ts';
import type { Throttle } from '../throttle/start-throttle.ts';
import type { Checkpoint, VectorSource, Walked } from './types.ts';
import type { WriteTarget } from './write-batch.ts';
import type { WriteSize } from './write-size.ts';

export interface BackfillJob {
  readonly ctx: MigrationContext;
  readonly to: WriteTarget;
  readonly source: VectorSource;
  /** Where the last run stopped; null walks from the beginning. */
  readonly cursor: readonly string[] | null;
  /** For progress: rows done before this run, and the estimate of all; undefined where it is to be taken from a sample. */
  readonly rowsDone: number;
  readonly rowsTotal: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** Called after a walk that was not the last one; a throw ends the run, what is written stays. */
  readonly afterWalk?: ((walked: Walked) => void) | undefined;
  /** Once it is true no further window is begun, and the run ends with what is in flight: pending rows may be left. */
  readonly isOver?: (() => boolean) | undefined;
  /** Called a few times a second with what to keep for the next start. */
  readonly onCheckpoint: ((checkpoint: Checkpoint) => Promise<void>) | undefined;
}

/** A job at work. */
export interface RunningJob extends BackfillJob {
  readonly throttle: Throttle;
  readonly size: WriteSize;
}
