import type { MigrationContext } from '../state/context.ts';
import type { Checkpoint, VectorSource } from './types.ts';
import type { WriteTarget } from './write-batch.ts';

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
  /** Called after a walk that was not the last one with the rows that it met and those that it dealt with; a throw ends the run, what is written stays. */
  readonly afterWalk?: ((walked: { readonly rows: number; readonly progressed: number }) => void) | undefined;
  /** Called a few times a second with what to keep for the next start. */
  readonly onCheckpoint: ((checkpoint: Checkpoint) => Promise<void>) | undefined;
}
