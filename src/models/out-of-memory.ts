/**
 * How ONNX Runtime, its allocators and the drivers below say that memory ran out. The sources of each text are in the test.
 * A CUDA failure is known by its number: 2 is cudaErrorMemoryAllocation.
 */
const OUT_OF_MEMORY = new RegExp(
  [
    // The CPU and ONNX Runtime's arena, on any device.
    'bad_alloc|fail(ed)? to allocate|allocation failed|BFCArena',
    'Available memory of \\d+ is smaller than requested bytes',
    // CUDA and its libraries.
    'CUDA failure 2:|out of memory|CU(BLAS|DNN|FFT|RAND)_(STATUS_)?ALLOC(ATION)?_FAILED',
    // WebGPU: the drivers below Dawn, the largest buffer of a device, and what is left of a buffer that was too large.
    'OUT_?OF_?(DEVICE_|HOST_|POOL_)?MEMORY|exceeds the max(imum)? buffer size',
    '\\[Invalid Buffer|Too many storage buffers in shader',
  ].join('|'),
  'i',
);

/** True when a smaller batch may succeed where this message came from. */
export function isOutOfMemory(message: string): boolean {
  return OUT_OF_MEMORY.test(message);
}
