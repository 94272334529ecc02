import type { Device, Dtype } from '../config/types.ts';
import { ModelError } from '../errors.ts';
import { type LocalModel, openLocalModel } from '../models/local-model.ts';
import { resolveModelFiles } from '../models/model-files.ts';

export interface VariantOptions {
  readonly compare: boolean;
  /** Without a comparison: the one that is measured. */
  readonly device: Device;
  readonly dtype: Dtype | undefined;
  /** Which CUDA device. */
  readonly deviceId: number | undefined;
  readonly gpuMemory: number | undefined;
  readonly threads: number | undefined;
  readonly modelsDir: string | undefined;
  /** Told when memory allows fewer threads than there are cores. */
  readonly onNotice: ((message: string) => void) | undefined;
}

/** A precision on a device that opens here. */
export interface Variant {
  readonly deviceId: number | undefined;
  readonly open: () => Promise<LocalModel>;
}

export interface Variants {
  readonly variants: readonly Variant[];
  /** What does not run here, each by name with its reason. */
  readonly notMeasured: readonly string[];
}

const DTYPES = ['fp32', 'fp16', 'int8'] as const satisfies readonly Dtype[];
const DEVICES = ['cuda', 'webgpu'] as const satisfies readonly Device[];

/**
 * What can be measured of a model on this machine: with `compare` each precision that its directory has on each device
 * that takes it, else the one that is configured.
 * @throws ModelError when the model is missing, altered or has no graph at all.
 */
export async function findVariants(model: string, options: VariantOptions): Promise<Variants> {
  const { modelsDir } = options;
  const variant = (device: Device, dtype: Dtype | undefined): Variant => {
    const deviceId = options.compare && device !== 'cuda' ? undefined : options.deviceId;
    return { deviceId, open: () => openLocalModel(model, { ...options, device, dtype, deviceId }) };
  };
  if (!options.compare) return { variants: [variant(options.device, options.dtype)], notMeasured: [] };
  const notMeasured: string[] = [];
  const dtypes = await presentDtypes(model, modelsDir, notMeasured);
  const variants = dtypes.map((dtype) => variant('cpu', dtype));
  for (const device of DEVICES) {
    const [first, ...others] = dtypes.filter((dtype) => dtype !== 'int8');
    if (first === undefined) {
      notMeasured.push(`${device}: int8 graphs run on the CPU only, and there is no other.`);
      continue;
    }
    const refusal = await refusalOf(variant(device, first));
    if (refusal === undefined) variants.push(...[first, ...others].map((dtype) => variant(device, dtype)));
    else notMeasured.push(`${device}: ${refusal}`);
  }
  return { variants, notMeasured };
}

async function presentDtypes(model: string, modelsDir: string | undefined, missing: string[]): Promise<Dtype[]> {
  const present: Dtype[] = [];
  for (const dtype of DTYPES) {
    try {
      await resolveModelFiles(model, { dtype, modelsDir });
      present.push(dtype);
    } catch (error) {
      if (!(error instanceof ModelError) || error.code !== 'dtype_missing') throw error;
      missing.push(`${dtype}: ${error.message}`);
    }
  }
  // A model without any graph is an error of its own.
  if (present.length === 0) await resolveModelFiles(model, { modelsDir });
  return present;
}

async function refusalOf(variant: Variant): Promise<string | undefined> {
  try {
    const model = await variant.open();
    await model.pool.close();
    return undefined;
  } catch (error) {
    if (error instanceof ModelError) return error.message;
    throw error;
  }
}
