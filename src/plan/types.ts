import type { Distance, ProviderName } from '../config/types.ts';
import type { PlannedChoice } from './choices.ts';
import type { PlannedDeployment } from './deployment.ts';
import type { Estimate } from './estimate.ts';
import type { PlannedAdapter } from './plan-adapter.ts';
import type { PlannedCost } from './plan-cost.ts';
import type { PlannedVectorIndex } from './plan-indexes.ts';
import type { PlannedMemory } from './plan-memory.ts';
import type { PlannedStorage } from './plan-storage.ts';
import type { PlannedTexts } from './plan-texts.ts';
import type { PlannedTime } from './plan-time.ts';

/** One of the three migrations. */
export interface PlannedStep {
  /** E.g. `005_add_embedding_384`. */
  readonly name: string;
  readonly summary: string;
  /** The statements, in order. `$n` are parameters; the model's id is 1 where it is not known yet. */
  readonly sql: readonly string[];
}

/** What a migration will do, before it does anything; frozen. */
export interface MigrationPlan {
  readonly migration: string;
  readonly table: string;
  readonly text: string;
  readonly column: string;
  readonly target: string;
  /** The types of the vectors, e.g. `vector(1536)`. */
  readonly from: string;
  readonly to: string;
  readonly model: string;
  readonly provider: ProviderName;
  readonly rows: number;
  readonly rowsCounted: boolean;
  readonly distance: Distance;
  readonly steps: readonly PlannedStep[];
  readonly indexes: readonly PlannedVectorIndex[];
  readonly storage: PlannedStorage;
  /** Undefined where no text was looked at. */
  readonly texts: PlannedTexts | undefined;
  /** What maps the old vectors in the place of the model; undefined where texts are embedded. */
  readonly adapter: PlannedAdapter | undefined;
  /** To a service; undefined for a model on this machine, and where nothing is embedded. */
  readonly requests: Estimate | undefined;
  readonly cost: PlannedCost;
  readonly time: PlannedTime;
  readonly memory: PlannedMemory;
  readonly deployment: PlannedDeployment;
  /** For so long `finalize` keeps the old column, where it is kept at all. */
  readonly retentionDays: number;
  readonly choices: readonly PlannedChoice[];
  readonly notes: readonly string[];
  /** What the numbers rest on, a sentence each. */
  readonly assumptions: readonly string[];
}
