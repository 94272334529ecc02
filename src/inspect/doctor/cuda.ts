import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { messageOf } from '../../errors.ts';
import { cudaLoaderError, missingCudaLibraries } from '../../models/cuda-libraries.ts';
import { ADD_CUDA } from '../../models/device.ts';
import { explainDeviceFailure } from '../../models/device-failure.ts';
import type { MigrationContext } from '../../state/context.ts';
import { errorFinding, warningFinding } from '../finding.ts';
import { type Look, seen, unseen } from './look.ts';

/** What of CUDA is on this machine. */
export interface CudaFacts {
  /** Card, driver and memory, a line each as `nvidia-smi` gives them; empty where it finds none. */
  readonly devices: readonly string[];
  /** Why `nvidia-smi` says nothing; undefined where it does. */
  readonly driverProblem: string | undefined;
  /** Libraries of onnxruntime-node that are not installed. */
  readonly missing: readonly string[];
  /** What the system's loader lacks to open them. */
  readonly loaderError: string | undefined;
}

const SMI_TIMEOUT_MS = 10_000;

/** Device, driver and libraries, or what is missing of them. */
export async function lookAtCuda({ definition, runtime }: MigrationContext): Promise<Look> {
  const { device } = runtime;
  if (definition.provider !== 'local') return seen(`the provider ${definition.provider} does not use it`);
  if (device === 'cpu' || device === 'webgpu') return seen(`not asked for: EMBEDDING_DEVICE is ${device}`);
  try {
    return judgeCuda(device, await readCuda());
  } catch (error) {
    return unseen(`it could not be looked at: ${messageOf(error)}`);
  }
}

/** @param device `auto` goes on with the CPU, `cuda` does not */
export function judgeCuda(device: 'auto' | 'cuda', facts: CudaFacts): Look {
  const { devices, driverProblem, missing, loaderError } = facts;
  const lacking = whatIsMissing(facts);
  const found = devices.length === 0 ? `no NVIDIA device (${driverProblem ?? 'none listed'})` : devices.join('; ');
  if (lacking === undefined) return seen(`${found}; the CUDA libraries of onnxruntime-node are installed`);
  if (device === 'cuda') {
    const reason = loaderError ?? '';
    const { message, hint = '' } = explainDeviceFailure({
      device,
      deviceId: undefined,
      graph: 'the model',
      reason,
      missing,
    });
    return seen(found, [
      devices.length === 0
        ? errorFinding('cuda_missing', `EMBEDDING_DEVICE is cuda, but there is ${found}.`, DRIVER_HINT)
        : errorFinding('cuda_missing', message, hint),
    ]);
  }
  if (devices.length === 0) return seen(`${found}: the CPU is used`);
  return seen(found, [
    warningFinding(
      'cuda_unused',
      `${found} is here and not used: ${lacking}.`,
      `Run "${ADD_CUDA}" and see docs/models.md, or set EMBEDDING_DEVICE=cpu.`,
    ),
  ]);
}

const DRIVER_HINT =
  'Install the NVIDIA driver until "nvidia-smi" lists the card, start a container with "--gpus all", or set EMBEDDING_DEVICE=cpu.';

function whatIsMissing({ devices, driverProblem, missing, loaderError }: CudaFacts): string | undefined {
  if (devices.length === 0) return driverProblem ?? 'nvidia-smi lists no device';
  const [first] = missing;
  if (first !== undefined) return `the CUDA libraries of onnxruntime-node are not installed (${first} is missing)`;
  return loaderError;
}

async function readCuda(): Promise<CudaFacts> {
  const missing = missingCudaLibraries();
  const loaderError = missing.length === 0 ? cudaLoaderError() : undefined;
  try {
    const { stdout } = await promisify(execFile)(
      'nvidia-smi',
      ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'],
      { timeout: SMI_TIMEOUT_MS },
    );
    const devices = stdout.split('\n').filter((line) => line.trim() !== '');
    return { devices, driverProblem: undefined, missing, loaderError };
  } catch (error) {
    const isAbsent = (error as { code?: unknown }).code === 'ENOENT';
    return {
      devices: [],
      driverProblem: isAbsent ? 'nvidia-smi is not there' : messageOf(error).split('\n')[0],
      missing,
      loaderError,
    };
  }
}
