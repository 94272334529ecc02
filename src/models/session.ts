import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as ort from 'onnxruntime-node';
import type { Device, Dtype } from '../config/types.ts';
import { ModelError, messageOf } from '../errors.ts';
import { halfToFloat } from '../vector/half.ts';
import type { GraphOptimization } from './manifest.ts';

export interface SessionOptions {
  /** Path of the ONNX file. */
  readonly graph: string;
  readonly device: Device;
  readonly dtype: Dtype;
  /** As the manifest says; `all` where it does not. */
  readonly graphOptimizationLevel: GraphOptimization | undefined;
  /** The output to read where the manifest names one. */
  readonly output: string | undefined;
  /** Threads inside the session (1). */
  readonly threads?: number;
}

/** A batch as int64 matrices `[batch, sequence]`. */
export interface PaddedBatch {
  readonly inputIds: BigInt64Array;
  readonly attentionMask: BigInt64Array;
  readonly batch: number;
  readonly sequence: number;
}

export interface GraphOutput {
  readonly data: Float32Array;
  /** `[batch, sequence, dimensions]`, or `[batch, dimensions]` where the graph pools. */
  readonly shape: readonly number[];
}

export interface InferenceSession {
  readonly device: Exclude<Device, 'auto'>;
  /** Why a better device was not taken, where one was tried. */
  readonly note: string | undefined;
  /** Blocks its thread until the batch is done. The batch must not be empty: ONNX Runtime ends the process on one. */
  run(batch: PaddedBatch): Promise<GraphOutput>;
  release(): Promise<void>;
}

type Runtime = typeof ort;

/** The fused kernels that are slower than their parts on a dynamically quantised graph. */
const SLOW_ON_INT8 = 'SkipLayerNormFusion;BiasGeluFusion;BiasSkipLayerNormFusion;FastGeluFusion';
const PREFERRED_OUTPUTS = ['sentence_embedding', 'last_hidden_state', 'token_embeddings'];

/**
 * Opens one session. On `auto`, CUDA where its libraries are installed and it works, else the CPU;
 * a device that was asked for by name is taken or refused, never replaced.
 * @throws ModelError when onnxruntime-node is missing, the device is refused or the graph is not an embedding model's.
 */
export async function openSession(options: SessionOptions): Promise<InferenceSession> {
  const runtime = await loadRuntime();
  const { device, note } =
    options.device === 'auto' ? await chooseDevice(runtime, options) : { device: options.device, note: undefined };
  if (device !== 'cpu' && options.dtype === 'int8') {
    throw new ModelError('device_refused', `The int8 graph ${options.graph} runs on the CPU only, not on ${device}.`, {
      hint: `Set EMBEDDING_DTYPE=fp32 or fp16 with a model that has such a graph, or EMBEDDING_DEVICE=cpu.`,
    });
  }
  const session = await create(runtime, options, device);
  const output = chooseOutput(session, options);
  assertInputs(session, options.graph);
  return {
    device,
    note,
    run: async (batch) => {
      const results = await session.run(feeds(runtime, session, batch), [output]);
      const tensor = results[output];
      if (tensor === undefined) throw new Error(`the graph returned no ${output}`);
      return { data: floats(tensor), shape: tensor.dims };
    },
    release: () => session.release(),
  };
}

async function loadRuntime(): Promise<Runtime> {
  try {
    const runtime = await import('onnxruntime-node');
    runtime.env.logLevel = 'fatal';
    return runtime;
  } catch (cause) {
    throw new ModelError('onnxruntime_missing', `Local inference needs onnxruntime-node: ${messageOf(cause)}.`, {
      hint: 'Run "npm i onnxruntime-node" in the project that uses reembed.',
      cause,
    });
  }
}

async function create(
  runtime: Runtime,
  options: SessionOptions,
  device: Exclude<Device, 'auto'>,
): Promise<ort.InferenceSession> {
  try {
    return await runtime.InferenceSession.create(options.graph, {
      executionProviders: [device],
      graphOptimizationLevel: options.graphOptimizationLevel ?? 'all',
      // Several threads in one session win less than several sessions of one thread each.
      intraOpNumThreads: options.threads ?? 1,
      interOpNumThreads: 1,
      // What fails is thrown; printing it too is not a library's business.
      logSeverityLevel: 4,
      // Shapes differ from batch to batch: remembered patterns would only fill memory.
      enableMemPattern: false,
      ...(options.dtype === 'int8' ? { extra: { optimization: { disable_specified_optimizers: SLOW_ON_INT8 } } } : {}),
    });
  } catch (cause) {
    const reason = messageOf(cause).trim();
    if (device === 'cpu') {
      throw new ModelError('graph_invalid', `ONNX Runtime could not load ${options.graph}: ${reason}.`, {
        hint: 'Copy the file again, or export it anew for a current ONNX Runtime.',
        cause,
      });
    }
    throw new ModelError('device_refused', `ONNX Runtime could not use ${device} for ${options.graph}: ${reason}.`, {
      hint: `Set EMBEDDING_DEVICE=cpu, or install what ${device} needs (for cuda: "npm rebuild onnxruntime-node --ignore-scripts=false", CUDA and cuDNN).`,
      cause,
    });
  }
}

async function chooseDevice(
  runtime: Runtime,
  options: SessionOptions,
): Promise<{ readonly device: 'cpu' | 'cuda'; readonly note: string | undefined }> {
  if (options.dtype === 'int8' || !hasCudaLibraries()) return { device: 'cpu', note: undefined };
  try {
    const trial = await create(runtime, options, 'cuda');
    await trial.release();
    return { device: 'cuda', note: undefined };
  } catch (error) {
    return { device: 'cpu', note: messageOf(error) };
  }
}

/** Looked at before trying: without the libraries a trial fails with noise on stderr that nobody can silence. */
function hasCudaLibraries(): boolean {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const library = process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so';
  return existsSync(join(root, 'bin', 'napi-v6', process.platform, process.arch, library));
}

function chooseOutput(session: ort.InferenceSession, options: SessionOptions): string {
  const names = session.outputNames;
  const chosen = options.output ?? PREFERRED_OUTPUTS.find((name) => names.includes(name)) ?? names[0];
  if (chosen !== undefined && names.includes(chosen)) return chosen;
  throw new ModelError('graph_invalid', `${options.graph} has no output ${chosen}; it has ${names.join(', ')}.`, {
    hint: 'Export the model for feature extraction.',
  });
}

function assertInputs(session: ort.InferenceSession, graph: string): void {
  const understood = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'];
  const others = session.inputNames.filter((name) => !understood.includes(name));
  if (others.length === 0) return;
  throw new ModelError('graph_invalid', `${graph} wants ${others.join(', ')}, which no text encoder needs.`, {
    hint: 'Export the model for feature extraction, without past key values.',
  });
}

function feeds(runtime: Runtime, session: ort.InferenceSession, batch: PaddedBatch): Record<string, ort.Tensor> {
  const shape = [batch.batch, batch.sequence];
  const inputs: Readonly<Record<string, () => BigInt64Array>> = {
    input_ids: () => batch.inputIds,
    attention_mask: () => batch.attentionMask,
    token_type_ids: () => new BigInt64Array(batch.inputIds.length),
    position_ids: () => BigInt64Array.from(batch.inputIds, (_, index) => BigInt(index % batch.sequence)),
  };
  const result: Record<string, ort.Tensor> = {};
  for (const name of session.inputNames) {
    const data = inputs[name]?.();
    if (data !== undefined) result[name] = new runtime.Tensor('int64', data, shape);
  }
  return result;
}

function floats(tensor: ort.Tensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  if (tensor.type === 'float16' && ArrayBuffer.isView(tensor.data)) {
    const { buffer, byteOffset, byteLength } = tensor.data;
    return halfToFloat(new Uint16Array(buffer, byteOffset, byteLength / 2));
  }
  throw new ModelError('graph_invalid', `The graph's output is ${tensor.type}, float32 or float16 was expected.`);
}
