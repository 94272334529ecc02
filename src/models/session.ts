import type * as ort from 'onnxruntime-node';
import type { Device, Dtype } from '../config/types.ts';
import { ModelError, messageOf } from '../errors.ts';
import { halfToFloat } from '../vector/half.ts';
import { cudaLoaderError, loaderError, missingCudaLibraries } from './cuda-libraries.ts';
import { assertDevice, type NamedDevice, whyNotCuda } from './device.ts';
import { explainDeviceFailure } from './device-failure.ts';
import { type DeviceTurn, inTurn } from './device-turn.ts';
import { assertInputs, chooseOutput, type GraphTask, inputsFor, type PaddedBatch } from './graph-io.ts';
import type { GraphOptimization } from './manifest.ts';
import { sessionOptionsFor } from './session-options.ts';

export interface SessionOptions {
  /** Path of the ONNX file. */
  readonly graph: string;
  readonly device: Device;
  /** Which CUDA device; 0 unless said. */
  readonly deviceId?: number | undefined;
  readonly dtype: Dtype;
  /** As the manifest says; `all` where it does not. */
  readonly graphOptimizationLevel: GraphOptimization | undefined;
  /** The output to read where the manifest names one. */
  readonly output: string | undefined;
  /** `embed` unless said. */
  readonly task?: GraphTask | undefined;
  /** Threads inside the session (1). */
  readonly threads?: number | undefined;
  /** Taken for everything that is done on WebGPU. */
  readonly webgpuTurn?: DeviceTurn | undefined;
}

export interface GraphOutput {
  readonly data: Float32Array;
  /** `[batch, sequence, dimensions]`, or `[batch, dimensions]` where the graph pools; of scores `[batch, 1]`. */
  readonly shape: readonly number[];
}

export interface InferenceSession {
  readonly device: NamedDevice;
  /** On `auto`: why no better device was taken. */
  readonly note: string | undefined;
  /** The version of onnxruntime-node. */
  readonly runtime: string;
  /** Blocks its thread until the batch is done. The batch must not be empty: ONNX Runtime ends the process on one. */
  run(batch: PaddedBatch): Promise<GraphOutput>;
  release(): Promise<void>;
}

export type Runtime = typeof ort;

/**
 * Opens one session. On `auto`, CUDA where its libraries are installed and it works, else the CPU, with the reason in `note`;
 * a device that was asked for by name is taken or refused, never replaced.
 * @throws ModelError when onnxruntime-node is missing, the device is refused or the graph is not an embedding model's.
 */
export async function openSession(options: SessionOptions): Promise<InferenceSession> {
  assertDevice(options.device, options.dtype, options.graph, options.deviceId);
  const runtime = await loadRuntime();
  const turn = options.device === 'webgpu' ? options.webgpuTurn : undefined;
  const alone = <T>(work: () => Promise<T>): Promise<T> => (turn === undefined ? work() : inTurn(turn, work));
  const { session, device, note } = await alone(() => openAsAsked(runtime, options));
  const output = outputOf(session, options);
  return {
    device,
    note,
    runtime: runtime.env.versions.node ?? runtime.env.versions.common,
    run: async (batch) => {
      const results = await alone(() => session.run(feeds(runtime, session, batch), [output]));
      const tensor = results[output];
      if (tensor === undefined) throw new Error(`the graph returned no ${output}`);
      return { data: floats(tensor), shape: tensor.dims.length === 1 ? [...tensor.dims, 1] : tensor.dims };
    },
    release: () => alone(() => session.release()),
  };
}

function outputOf(session: ort.InferenceSession, { graph, task, output: wanted }: SessionOptions): string {
  return chooseOutput(graph, session.outputNames, { task, wanted });
}

/** @throws ModelError `onnxruntime_missing` */
export async function loadRuntime(): Promise<Runtime> {
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

interface Opened {
  readonly session: ort.InferenceSession;
  readonly device: NamedDevice;
  readonly note: string | undefined;
}

async function openAsAsked(runtime: Runtime, options: SessionOptions): Promise<Opened> {
  const { device } = options;
  if (device === 'auto') return openBest(runtime, options);
  return { session: await openOn(runtime, options, device), device, note: undefined };
}

/** CUDA or the CPU. WebGPU, which its makers call experimental, is only taken by name. */
async function openBest(runtime: Runtime, options: SessionOptions): Promise<Opened> {
  const builtFor = runtime.listSupportedBackends().map(({ name }) => name);
  const platform = `${process.platform}/${process.arch}`;
  let why = whyNotCuda(options.dtype, { platform, builtFor, missing: missingCudaLibraries() });
  if (why === undefined) {
    try {
      return { session: await openOn(runtime, options, 'cuda'), device: 'cuda', note: undefined };
    } catch (error) {
      if (!(error instanceof ModelError) || error.code !== 'device_refused') throw error;
      why = error.message.replace(/\.$/, '');
    }
  }
  return { session: await openOn(runtime, options, 'cpu'), device: 'cpu', note: `not on cuda: ${why}` };
}

async function openOn(runtime: Runtime, options: SessionOptions, device: NamedDevice): Promise<ort.InferenceSession> {
  // Asked first, because Dawn prints to stderr what nobody can silence.
  const unloadable = device === 'webgpu' && process.platform === 'linux' ? loaderError('libvulkan.so.1') : undefined;
  if (unloadable !== undefined) throw refused(options, device, unloadable);
  let session: ort.InferenceSession;
  try {
    session = await runtime.InferenceSession.create(options.graph, sessionOptionsFor({ ...options, device }));
  } catch (cause) {
    const unreadable = device === 'cpu' || /Load model from .* failed|Protobuf parsing failed/i.test(messageOf(cause));
    throw unreadable ? invalid(options.graph, cause) : refused(options, device, messageOf(cause), cause);
  }
  assertInputs(options.graph, session.inputNames);
  if (device !== 'cpu') await tryOut(runtime, session, options, device);
  return session;
}

/** Kernels are loaded at their first run: a card that they do not suit shows only now. */
async function tryOut(
  runtime: Runtime,
  session: ort.InferenceSession,
  options: SessionOptions,
  device: NamedDevice,
): Promise<void> {
  const batch = { inputIds: BigInt64Array.of(0n, 0n), attentionMask: BigInt64Array.of(1n, 1n), batch: 1, sequence: 2 };
  try {
    await session.run(feeds(runtime, session, batch), [outputOf(session, options)]);
  } catch (cause) {
    await session.release();
    throw refused(options, device, messageOf(cause), cause);
  }
}

function refused(options: SessionOptions, device: NamedDevice, thrown: string, cause?: unknown): ModelError {
  const missing = device === 'cuda' ? missingCudaLibraries() : [];
  const unloadable = /Failed to load shared library/.test(thrown) && missing.length === 0;
  const reason = (unloadable ? cudaLoaderError() : undefined) ?? thrown;
  return explainDeviceFailure({ device, deviceId: options.deviceId, graph: options.graph, reason, missing, cause });
}

function invalid(graph: string, cause: unknown): ModelError {
  return new ModelError('graph_invalid', `ONNX Runtime could not load ${graph}: ${messageOf(cause).trim()}.`, {
    hint: 'Copy the file again, or export it anew for a current ONNX Runtime.',
    cause,
  });
}

function feeds(runtime: Runtime, session: ort.InferenceSession, batch: PaddedBatch): Record<string, ort.Tensor> {
  const shape = [batch.batch, batch.sequence];
  const inputs = Object.entries(inputsFor(session.inputNames, batch));
  return Object.fromEntries(inputs.map(([name, data]) => [name, new runtime.Tensor('int64', data, shape)]));
}

function floats(tensor: ort.Tensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  if (tensor.type === 'float16' && ArrayBuffer.isView(tensor.data)) {
    const { buffer, byteOffset, byteLength } = tensor.data;
    return halfToFloat(new Uint16Array(buffer, byteOffset, byteLength / 2));
  }
  throw new ModelError('graph_invalid', `The graph's output is ${tensor.type}, float32 or float16 was expected.`);
}
