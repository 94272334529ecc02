import type { RuntimeSettings } from '../config/types.ts';
import { ModelError } from '../errors.ts';
import { readMachine } from '../models/machine.ts';
import { type ModelConfig, readModelConfig } from '../models/model-config.ts';
import { type ModelFiles, resolveModelFiles } from '../models/model-files.ts';
import { poolSize, sessionBytes } from '../models/pool-size.ts';
import type { ModelMemory } from '../plan/inputs.ts';

/** A model on this machine, verified, not loaded. */
export interface LocalModelFiles {
  readonly files: ModelFiles;
  readonly config: ModelConfig;
}

/** Tokens of the largest batch that is reckoned with when sessions are counted. */
const LARGEST_BATCH = 2048;

/** The files of a model, or in a sentence why they cannot be used. */
export async function findLocalModel(
  model: string,
  { dtype, modelsDir }: Pick<RuntimeSettings, 'dtype' | 'modelsDir'>,
): Promise<LocalModelFiles | { readonly problem: string }> {
  try {
    const files = await resolveModelFiles(model, { dtype, modelsDir });
    return { files, config: await readModelConfig(files) };
  } catch (error) {
    if (error instanceof ModelError) return { problem: error.message };
    throw error;
  }
}

/** What the model would take of this machine's memory as it is now. */
export function readModelMemory(
  { files, config }: LocalModelFiles,
  dimensions: number,
  { threads }: Pick<RuntimeSettings, 'threads'>,
): ModelMemory {
  const { graphBytes, dtype } = files;
  const batchTokens = Math.max(LARGEST_BATCH, config.maxTokens);
  const session = { dtype, graphBytes, dimensions, batchTokens, sequence: config.maxTokens };
  const pool = poolSize(readMachine(), session, threads);
  return { graphBytes, dtype, threads: pool.threads, sessionBytes: sessionBytes(session) };
}
