import type { Device } from '../config/types.ts';
import { type DevicePlan, planDevice } from './device-plan.ts';
import { webgpuTurn } from './device-turn.ts';
import type { GraphTask } from './graph-io.ts';
import { InferencePool } from './inference-pool.ts';
import { readMachine } from './machine.ts';
import type { ModelFiles } from './model-files.ts';
import { poolSize } from './pool-size.ts';
import type { SessionOptions } from './session.ts';
import type { SessionFacts, WorkerSetup } from './worker-messages.ts';

export interface PoolSettings {
  readonly device?: Device | undefined;
  /** Which CUDA device; 0 unless said. */
  readonly deviceId?: number | undefined;
  /** Bytes of a device's memory that all sessions together may take, by estimate; what it has unless said. */
  readonly gpuMemory?: number | undefined;
  /** Inference threads; unless said one a core, as far as the cores, the quota and the memory go, and two on a device. */
  readonly threads?: number | undefined;
  /** Told when memory allows fewer threads than there are cores. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Which graph is opened, and for what. */
export interface PoolGraph {
  readonly files: ModelFiles;
  readonly task: GraphTask;
  readonly setup: Omit<WorkerSetup, 'session'>;
  /** Tokens of the longest sequence. */
  readonly maxTokens: number;
  /** Values of a token between two layers, which memory is reckoned by; what the graph returns unless said. */
  readonly width?: number | undefined;
}

/** Inference threads that are ready. Whoever opened them closes `pool`. */
export interface OpenPool {
  readonly pool: InferencePool;
  readonly facts: SessionFacts;
  /** Inference threads at most. */
  readonly threads: number;
  /** `cpu`, `webgpu`, or `cuda:` and the device's number. */
  readonly device: string;
  /** How large batches may be on a device; undefined on the CPU. */
  readonly devicePlan: DevicePlan | undefined;
}

/** Tokens of the largest batch that is reckoned with when sessions are counted. */
const LARGEST_BATCH = 2048;

/**
 * Opens the first session of a graph and decides how many threads there will be.
 * @throws ModelError when the session cannot be opened, or the graph is not one for its task.
 */
export async function openPool(graph: PoolGraph, settings: PoolSettings): Promise<OpenPool> {
  const plan = (facts: SessionFacts): DevicePlan | undefined => planFor(graph, facts, settings);
  const threads = (facts: SessionFacts): number => plan(facts)?.sessions ?? countThreads(graph, facts, settings);
  const setup = { ...graph.setup, session: sessionOptions(graph, settings) };
  const { pool, facts } = await InferencePool.open(setup, { threads, onNotice: settings.onNotice });
  const device = facts.device === 'cuda' ? `cuda:${settings.deviceId ?? 0}` : facts.device;
  return { pool, facts, device, threads: pool.threads, devicePlan: plan(facts) };
}

function planFor(
  { files, maxTokens, width }: PoolGraph,
  { device, dimensions }: SessionFacts,
  { gpuMemory, threads }: PoolSettings,
): DevicePlan | undefined {
  const { graphBytes, dtype } = files;
  if (device === 'cpu') return undefined;
  const needs = { graphBytes, dtype, dimensions: width ?? dimensions, maxTokens };
  return planDevice(needs, { device, limit: gpuMemory, sessions: threads });
}

function countThreads({ files, maxTokens, width }: PoolGraph, facts: SessionFacts, settings: PoolSettings): number {
  const session = {
    dtype: files.dtype,
    graphBytes: files.graphBytes,
    dimensions: width ?? facts.dimensions,
    batchTokens: Math.max(LARGEST_BATCH, maxTokens),
    sequence: maxTokens,
  };
  const { threads, notice } = poolSize(readMachine(), session, settings.threads);
  if (notice !== undefined) settings.onNotice?.(notice);
  return threads;
}

function sessionOptions({ files, task }: PoolGraph, { device = 'auto', deviceId }: PoolSettings): SessionOptions {
  // What the manifest says is about its own graph, not about another precision beside it.
  const manifest = files.manifest?.dtype === files.dtype ? files.manifest : undefined;
  return {
    graph: files.graph,
    device,
    deviceId,
    dtype: files.dtype,
    graphOptimizationLevel: manifest?.session?.graphOptimizationLevel,
    output: manifest?.output,
    task,
    webgpuTurn,
  };
}
