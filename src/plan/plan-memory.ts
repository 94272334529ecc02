import { type Estimate, within } from './estimate.ts';
import type { ModelMemory } from './inputs.ts';
import type { PlannedVectorIndex } from './plan-indexes.ts';

/** Memory in bytes. */
export interface PlannedMemory {
  /** Of the process that embeds: sessions with their activations; undefined for a service, or where no model is found here. */
  readonly model: (ModelMemory & { readonly bytes: Estimate }) | undefined;
  /** maintenance_work_mem of the largest index build; 007 sets it for IVFFlat, for HNSW it is what you had better set. */
  readonly indexBuildBytes: number;
}

const MODEL_FACTOR = 1.5;

export function planMemory(model: ModelMemory | undefined, indexes: readonly PlannedVectorIndex[]): PlannedMemory {
  return {
    model: model && { ...model, bytes: within(model.threads * model.sessionBytes, MODEL_FACTOR) },
    indexBuildBytes: Math.max(0, ...indexes.map((index) => index.buildMemoryBytes ?? index.graphBytes ?? 0)),
  };
}
