import type { Device, Dtype } from '../config/types.ts';
import { ModelError } from '../errors.ts';

export type NamedDevice = Exclude<Device, 'auto'>;

/** What is looked at before CUDA is tried. */
export interface CudaSurroundings {
  /** `<platform>/<arch>` as Node names them. */
  readonly platform: string;
  /** The devices that this onnxruntime-node was built for, whether or not their libraries are there. */
  readonly builtFor: readonly string[];
  /** The CUDA libraries of onnxruntime-node that are missing. */
  readonly missing: readonly string[];
}

/** The one command that adds the CUDA libraries: the package's own script, which downloads what npm cannot hold. */
export const ADD_CUDA = 'npm rebuild onnxruntime-node --ignore-scripts=false';

/**
 * Refuses what no attempt could make work.
 * @throws ModelError `device_refused` or `device_id_unsupported`.
 */
export function assertDevice(device: Device, dtype: Dtype, graph: string, deviceId: number | undefined): void {
  if (device === 'cpu' || device === 'auto') return;
  if (dtype === 'int8') {
    throw new ModelError('device_refused', `The int8 graph ${graph} runs on the CPU only, not on ${device}.`, {
      hint: 'Set EMBEDDING_DTYPE=fp32 or fp16 with a model that has such a graph, or EMBEDDING_DEVICE=cpu.',
    });
  }
  if (device === 'webgpu' && deviceId !== undefined) {
    throw new ModelError(
      'device_id_unsupported',
      `EMBEDDING_DEVICE_ID is ${deviceId}, but onnxruntime-node chooses the WebGPU device itself.`,
      { hint: 'Unset EMBEDDING_DEVICE_ID, or set EMBEDDING_DEVICE=cuda.' },
    );
  }
}

/** Why `auto` does not even try CUDA; undefined when it is worth a trial. */
export function whyNotCuda(dtype: Dtype, { platform, builtFor, missing }: CudaSurroundings): string | undefined {
  if (dtype === 'int8') return 'int8 graphs run on the CPU only';
  if (!builtFor.includes('cuda')) return `onnxruntime-node has no CUDA for ${platform}`;
  if (missing.length === 0) return undefined;
  return `the CUDA libraries of onnxruntime-node are not installed (${ADD_CUDA})`;
}
