import type { InferenceSession } from 'onnxruntime-node';
import type { Dtype } from '../config/types.ts';
import type { NamedDevice } from './device.ts';
import type { GraphOptimization } from './manifest.ts';

/** The fused kernels that are slower than their parts on a dynamically quantised graph. */
const SLOW_ON_INT8 = 'SkipLayerNormFusion;BiasGeluFusion;BiasSkipLayerNormFusion;FastGeluFusion';

export interface SessionSettings {
  readonly device: NamedDevice;
  /** Which CUDA device; 0 unless said. */
  readonly deviceId?: number | undefined;
  readonly dtype: Dtype;
  /** As the manifest says; `all` where it does not. */
  readonly graphOptimizationLevel: GraphOptimization | undefined;
  /** Threads inside the session (1). */
  readonly threads?: number | undefined;
}

/**
 * What is handed to `InferenceSession.create`, word for word. A limit of device memory is not among it: the binding passes
 * nothing but the device's number on to CUDA (js/node/src/session_options_helper.cc), and session configuration entries
 * below `ep.cudaexecutionprovider.` are not read on this way (tried with 1.30: even a limit of "abc" goes unnoticed).
 * Memory is bounded by the size of the batches instead, see device-plan.ts.
 */
export function sessionOptionsFor(settings: SessionSettings): InferenceSession.SessionOptions {
  const { device, dtype } = settings;
  return {
    executionProviders: [executionProvider(settings)],
    graphOptimizationLevel: settings.graphOptimizationLevel ?? 'all',
    // Several threads in one session win less than several sessions of one thread each.
    intraOpNumThreads: settings.threads ?? 1,
    interOpNumThreads: 1,
    // What fails is thrown; printing it too is not a library's business.
    logSeverityLevel: 4,
    // Shapes differ from batch to batch: remembered patterns would only fill memory.
    enableMemPattern: false,
    ...(device === 'cpu' && dtype === 'int8'
      ? { extra: { optimization: { disable_specified_optimizers: SLOW_ON_INT8 } } }
      : {}),
  };
}

/**
 * WebGPU refuses a device's number as an unrecognized option, so it is only given to CUDA. WebGPU's validation is what turns
 * a buffer that could not be had into an error; without it wrong vectors would come back.
 */
function executionProvider({ device, deviceId }: SessionSettings): InferenceSession.ExecutionProviderConfig {
  if (device === 'cuda') return { name: 'cuda', deviceId: deviceId ?? 0 };
  return device === 'webgpu' ? { name: 'webgpu', validationMode: 'basic' } : { name: 'cpu' };
}
