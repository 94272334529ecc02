import { ModelError } from '../errors.ts';
import { ADD_CUDA, type NamedDevice } from './device.ts';
import { isOutOfMemory } from './out-of-memory.ts';

export interface FailedAttempt {
  readonly device: NamedDevice;
  readonly deviceId: number | undefined;
  readonly graph: string;
  /** What ONNX Runtime or the loader said, as it came. */
  readonly reason: string;
  /** The CUDA libraries of onnxruntime-node that are missing. */
  readonly missing: readonly string[];
  readonly cause?: unknown;
}

interface Explanation {
  /** Completes "… cannot be used: ". */
  readonly why: string;
  readonly hint: string;
}

const DRIVER =
  'Install or update the NVIDIA driver until "nvidia-smi" lists the card; start a container with "--gpus all".';
const ELSE_CPU = 'EMBEDDING_DEVICE=cpu works without.';

/** ORT's wrapping of every CUDA, cuBLAS and cuDNN error (core/providers/cuda/cuda_call.cc): its kind, number and text. */
const CUDA_FAILURE = /\b(CUDA|CUBLAS|CUBLAS_LT|CUDNN|CUFFT|CURAND) failure (\d+): ([^;\n]*?)\s*(?:;|$)/i;
/** glibc's dynamic loader (elf/dl-load.c). */
const MISSING_LIBRARY = /(lib[\w.+-]+\.so(?:\.[\d.]+)?): cannot open shared object file/;
const CUDA_TOOLKIT = /^lib(cudart|cublas|cublasLt|cufft|curand|nvrtc|cusparse|nvJitLink)\b/;

/** Runtime errors of CUDA by number (driver_types.h), as far as something can be done about them. */
const CUDA_HINTS: Readonly<Record<number, (attempt: FailedAttempt) => Explanation>> = {
  35: () => ({
    why: 'the NVIDIA driver is too old for the CUDA libraries',
    hint: `Update the NVIDIA driver, or install CUDA libraries that it supports ("nvidia-smi" says up to which version). ${ELSE_CPU}`,
  }),
  100: () => ({ why: 'the NVIDIA driver finds no device', hint: `${DRIVER} CUDA_VISIBLE_DEVICES may hide it.` }),
  101: ({ deviceId = 0 }) => ({
    why: `there is no CUDA device ${deviceId}`,
    hint: 'Set EMBEDDING_DEVICE_ID to a device that "nvidia-smi -L" lists, counted from 0 among those in CUDA_VISIBLE_DEVICES.',
  }),
  209: () => ({
    why: 'this onnxruntime-node has no kernels for this kind of card',
    hint: `Install another version of onnxruntime-node and run "${ADD_CUDA}". ${ELSE_CPU}`,
  }),
};

/** One sentence and the way on for a device that could not be used. Nothing here tries another device. */
export function explainDeviceFailure(attempt: FailedAttempt): ModelError {
  const { why, hint } = explain(attempt);
  const message = `${attempt.device} cannot be used for ${attempt.graph}: ${why}.`;
  return new ModelError('device_refused', message, {
    hint,
    context: { device: attempt.device, deviceId: attempt.deviceId, reason: attempt.reason.trim() },
    ...(attempt.cause === undefined ? {} : { cause: attempt.cause }),
  });
}

/** Without source files, signatures and the machine's name: what a person needs of an error of ONNX Runtime. */
export function conciseReason(reason: string): string {
  const failure = CUDA_FAILURE.exec(reason);
  if (failure !== null) return `${failure[1]} failure ${failure[2]}: ${failure[3]}`;
  const text = reason
    .replace(/^[\s\S]*\bwas false\. /, '')
    .replace(/^\S*\.(?:cc|h|cpp):\d+ .*?\[with [^\]]*\]\s*/s, '')
    .replace(/\s+/g, ' ')
    .trim();
  return text.replace(/[.\s]+$/, '');
}

function explain(attempt: FailedAttempt): Explanation {
  const { device, reason, missing } = attempt;
  const [absent] = missing;
  if (device === 'cuda' && absent !== undefined) {
    return {
      why: `the CUDA libraries of onnxruntime-node are not installed (${absent} is missing)`,
      hint: `Run "${ADD_CUDA}" (Linux x64, downloads from nuget.org). ${ELSE_CPU}`,
    };
  }
  const library = MISSING_LIBRARY.exec(reason)?.[1];
  if (library !== undefined) return missingLibrary(library);
  if (isOutOfMemory(reason)) {
    return {
      why: `its memory does not hold the model (${conciseReason(reason)})`,
      hint: 'Free memory on the device, or choose another with EMBEDDING_DEVICE_ID, a smaller model or EMBEDDING_DTYPE=fp16.',
    };
  }
  return cudaFailure(attempt) ?? otherFailure(attempt);
}

function missingLibrary(library: string): Explanation {
  const why = `${library} cannot be found`;
  if (library.startsWith('libcuda.so')) return { why: `${why}, which is part of the NVIDIA driver`, hint: DRIVER };
  if (library.startsWith('libvulkan')) {
    return { why, hint: `Install Vulkan (Debian: "apt install libvulkan1") and the driver of the card. ${ELSE_CPU}` };
  }
  if (library.startsWith('libcudnn')) {
    return { why, hint: `Install cuDNN ${versionOf(library)} and put its directory into LD_LIBRARY_PATH. ${ELSE_CPU}` };
  }
  if (!CUDA_TOOLKIT.test(library))
    return { why, hint: `Install it, or put its directory into LD_LIBRARY_PATH. ${ELSE_CPU}` };
  // The number of these three is that of CUDA itself; cuFFT and cuRAND count on their own.
  const cuda = /^lib(cudart|cublas|cublasLt)\.so/.test(library) ? versionOf(library) : undefined;
  return {
    why: cuda === undefined ? why : `${why}, which is part of CUDA ${cuda}`,
    hint: `Install the ${cuda === undefined ? '' : `CUDA ${cuda} `}runtime libraries that this onnxruntime-node was built for and put their directories into LD_LIBRARY_PATH (docs/models.md). ${ELSE_CPU}`,
  };
}

function cudaFailure(attempt: FailedAttempt): Explanation | undefined {
  const failure = CUDA_FAILURE.exec(attempt.reason);
  if (failure === null) return /cudnn/i.test(attempt.reason) ? cudnnFailure(attempt.reason) : undefined;
  const said = conciseReason(attempt.reason);
  const known = failure[1]?.toUpperCase() === 'CUDA' ? CUDA_HINTS[Number(failure[2])]?.(attempt) : undefined;
  if (known !== undefined) return { why: `${known.why} (${said})`, hint: known.hint };
  if (/cudnn/i.test(said)) return cudnnFailure(attempt.reason);
  return { why: said, hint: `See whether "nvidia-smi" works and the driver suits the CUDA libraries. ${ELSE_CPU}` };
}

function cudnnFailure(reason: string): Explanation {
  return {
    why: `cuDNN does not work (${conciseReason(reason)})`,
    hint: `Install one cuDNN 9, whole, for the same CUDA version, and no other in LD_LIBRARY_PATH. ${ELSE_CPU}`,
  };
}

function otherFailure({ device, reason }: FailedAttempt): Explanation {
  const said = conciseReason(reason);
  if (/is unsupported: '|no available backend/.test(reason)) {
    return {
      why: 'this onnxruntime-node was not built for it',
      hint: `${ELSE_CPU} docs/models.md says what runs where.`,
    };
  }
  if (/Failed to get a WebGPU (adapter|device)/.test(reason)) {
    return {
      why: `no usable graphics device was found (${said})`,
      hint: `Install the driver of the card; on Linux "vulkaninfo --summary" must list it. ${ELSE_CPU}`,
    };
  }
  return { why: said, hint: `docs/models.md says what ${device} needs. ${ELSE_CPU}` };
}

function versionOf(library: string): string {
  return /\.so\.(\d+)/.exec(library)?.[1] ?? '';
}
