import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** What onnxruntime-node's own script downloads, because it is too large for npm; TensorRT's is not used. */
const LIBRARIES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];

/** Paths of the CUDA libraries of onnxruntime-node that are not there. */
export function missingCudaLibraries(): readonly string[] {
  return cudaLibraries().filter((path) => !existsSync(path));
}

/**
 * What the system's loader says about ONNX Runtime's CUDA library. ONNX Runtime itself throws only that the library failed to
 * load and prints the reason; the loader, asked again, names the file that is missing.
 * @returns undefined when the loader finds everything.
 */
export function cudaLoaderError(): string | undefined {
  const path = cudaLibraries().at(-1);
  return path === undefined ? undefined : loaderError(path);
}

/** Why the system's loader cannot open a shared library; undefined when it can. */
export function loaderError(library: string): string | undefined {
  try {
    process.dlopen({ exports: {} }, library);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Opened and closed again: it is a library, but no addon of Node.
    return /did not self-register|invalid ELF module|napi/i.test(message) ? undefined : message;
  }
}

function cudaLibraries(): readonly string[] {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return LIBRARIES.map((name) => join(root, 'bin', 'napi-v6', process.platform, process.arch, name));
}
