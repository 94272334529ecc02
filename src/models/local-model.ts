import type { Device, Dtype } from '../config/types.ts';
import { ModelError } from '../errors.ts';
import { type DevicePlan, planDevice } from './device-plan.ts';
import { webgpuTurn } from './device-turn.ts';
import { InferencePool } from './inference-pool.ts';
import { readMachine } from './machine.ts';
import { type ModelConfig, readModelConfig } from './model-config.ts';
import { type ModelFiles, resolveModelFiles } from './model-files.ts';
import { poolSize } from './pool-size.ts';
import type { SessionOptions } from './session.ts';
import { loadTokenizer, type TextTokenizer } from './tokenizer.ts';
import type { SessionFacts } from './worker-messages.ts';

export interface LocalModelOptions {
  readonly device?: Device | undefined;
  /** Which CUDA device; 0 unless said. */
  readonly deviceId?: number | undefined;
  /** Bytes of a device's memory that all sessions together may take, by estimate; what it has unless said. */
  readonly gpuMemory?: number | undefined;
  readonly dtype?: Dtype | undefined;
  /** Inference threads; unless said one a core, as far as the cores, the quota and the memory go, and two on a device. */
  readonly threads?: number | undefined;
  /** Where models are looked up by name. */
  readonly modelsDir?: string | undefined;
  /** A lock file that the files must agree with, where it names the model. */
  readonly modelLock?: string | undefined;
  /** Told when memory allows fewer threads than there are cores. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Tokens of the largest batch that is reckoned with when sessions are counted. */
const LARGEST_BATCH = 2048;

/** A verified model, ready to run. Whoever opened it closes `pool`. */
export interface LocalModel {
  readonly files: ModelFiles;
  readonly config: ModelConfig;
  readonly tokenizer: TextTokenizer;
  readonly pool: InferencePool;
  readonly facts: SessionFacts;
  /** Inference threads at most. */
  readonly threads: number;
  /** `cpu`, `webgpu`, or `cuda:` and the device's number. */
  readonly device: string;
  /** How large batches may be on a device; undefined on the CPU. */
  readonly devicePlan: DevicePlan | undefined;
}

/**
 * Finds, verifies and opens a model.
 * @throws ModelError naming what is missing, altered or not supported.
 */
export async function openLocalModel(model: string, options: LocalModelOptions = {}): Promise<LocalModel> {
  const files = await resolveModelFiles(model, options);
  const config = await readModelConfig(files);
  const tokenizer = await loadTokenizer(files.directory, config);
  const [sample] = await tokenizer.tokenize(['reembed']);
  const setup = {
    session: sessionOptions(files, options),
    pooling: config.pooling,
    normalize: config.normalize,
    padId: tokenizer.padId,
    sample: sample?.ids ?? Int32Array.of(tokenizer.padId),
  };
  const plan = (facts: SessionFacts): DevicePlan | undefined => planFor(files, config, facts, options);
  const threads = (facts: SessionFacts): number => plan(facts)?.sessions ?? countThreads(files, config, facts, options);
  const opened = await InferencePool.open(setup, { threads, onNotice: options.onNotice });
  const { pool, facts } = opened;
  const problem = poolingProblem(files, config, facts.graphPools);
  if (problem === undefined) {
    const device = facts.device === 'cuda' ? `cuda:${options.deviceId ?? 0}` : facts.device;
    return { files, config, tokenizer, pool, facts, device, threads: pool.threads, devicePlan: plan(facts) };
  }
  await pool.close();
  throw problem;
}

function planFor(
  files: ModelFiles,
  { maxTokens }: ModelConfig,
  { device, dimensions }: SessionFacts,
  { gpuMemory, threads }: LocalModelOptions,
): DevicePlan | undefined {
  const { graphBytes, dtype } = files;
  if (device === 'cpu') return undefined;
  return planDevice({ graphBytes, dtype, dimensions, maxTokens }, { device, limit: gpuMemory, sessions: threads });
}

function countThreads(files: ModelFiles, config: ModelConfig, facts: SessionFacts, options: LocalModelOptions): number {
  const session = {
    dtype: files.dtype,
    graphBytes: files.graphBytes,
    dimensions: facts.dimensions,
    batchTokens: Math.max(LARGEST_BATCH, config.maxTokens),
    sequence: config.maxTokens,
  };
  const { threads, notice } = poolSize(readMachine(), session, options.threads);
  if (notice !== undefined) options.onNotice?.(notice);
  return threads;
}

function sessionOptions(files: ModelFiles, { device = 'auto', deviceId }: LocalModelOptions): SessionOptions {
  // What the manifest says is about its own graph, not about another precision beside it.
  const manifest = files.manifest?.dtype === files.dtype ? files.manifest : undefined;
  return {
    graph: files.graph,
    device,
    deviceId,
    dtype: files.dtype,
    graphOptimizationLevel: manifest?.session?.graphOptimizationLevel,
    output: manifest?.output,
    webgpuTurn,
  };
}

function poolingProblem(files: ModelFiles, config: ModelConfig, graphPools: boolean): ModelError | undefined {
  if (graphPools) return undefined;
  const [unsupported] = config.unsupportedModules;
  if (unsupported !== undefined) {
    return new ModelError('module_unsupported', `${files.directory} adds a ${unsupported} module after pooling.`, {
      hint: 'Export a graph whose output sentence_embedding contains all modules, or choose another model.',
    });
  }
  if (config.pooling !== undefined) return undefined;
  return new ModelError('pooling_unknown', `Nothing in ${files.directory} says how its tokens are pooled.`, {
    hint: 'Copy modules.json and 1_Pooling/config.json of the model beside its config.json.',
  });
}
