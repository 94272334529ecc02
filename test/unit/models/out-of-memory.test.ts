import { expect, test } from 'vitest';
import { isOutOfMemory } from '../../../src/models/out-of-memory.ts';

/** As they were printed, with where: shortened at the ends only. */
const outOfMemory: readonly (readonly [string, string])[] = [
  [
    'CPU, onnxruntime-node 1.30, measured',
    "Non-zero status code returned while running ConstantOfShape node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 1152921504606847232\n",
  ],
  [
    'CUDA, github.com/microsoft/onnxruntime/issues/20038',
    "Non-zero status code returned while running Mul node. Name:'Mul_8702' Status Message: /workspace/onnxruntime/onnxruntime/core/framework/bfc_arena.cc:368 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool, onnxruntime::WaitNotificationFn) Failed to allocate memory for requested buffer of size 2830172160",
  ],
  [
    'CUDA, github.com/hacksider/Deep-Live-Cam/issues/584',
    'onnxruntime::CudaCall CUDA failure 2: out of memory ; GPU=0 ; hostname=DESKTOP ; file=D:\\a\\_work\\1\\s\\onnxruntime\\core\\providers\\cuda\\cuda_stream_handle.cc ; line=175 ; expr=cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);',
  ],
  [
    "CUDA's arena at its limit, core/framework/bfc_arena.cc",
    'Available memory of 1048576 is smaller than requested bytes of 2097152',
  ],
  [
    'cuBLAS, core/providers/cuda/cuda_call.cc',
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=vm ; file=cuda_execution_provider.cc ; line=182 ; expr=cublasCreate(&cublas_handle_); ',
  ],
  ['the C++ library', 'std::bad_alloc'],
  ['WebGPU, github.com/microsoft/onnxruntime/issues/25195', 'WebGPU device error(2): Out of memory'],
  [
    'WebGPU, onnxruntime-node 1.30 on SwiftShader, measured',
    'WebGPU validation failed. Buffer size (1677312000) exceeds the max buffer size limit (1073741824).\n - While calling [Device].CreateBuffer',
  ],
  [
    'WebGPU over Vulkan, github.com/mlc-ai/web-llm/issues/60',
    'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY\n    at CheckVkOOMThenSuccessImpl',
  ],
  [
    'WebGPU, onnxruntime-node 1.30 on SwiftShader, measured',
    'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n - While validating entries[2] against { binding: 2, visibility: ShaderStage::Compute }',
  ],
  [
    'WebGPU, onnxruntime-node 1.30 on SwiftShader, measured',
    'Failed to download data from buffer. wgpu::MapAsyncStatus value: 3, message: [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n',
  ],
  [
    'WebGPU, onnxruntime-node 1.30 on SwiftShader, measured',
    'numbers_storage_buffers_ <= limits_.maxStorageBuffersPerShaderStage was false. Too many storage buffers in shader. Current: 19, Max is 12\n',
  ],
];

test.each(outOfMemory)('%s: a smaller batch is tried', (_source, message) => {
  expect(isOutOfMemory(message)).toBe(true);
});

test.each([
  'CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; file=x ; line=352 ; expr=cudaSetDevice(0); ',
  'CUDA failure 209: no kernel image is available for execution on the device ; GPU=0 ; hostname=vm',
  'CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=vm',
  'Failed to get a WebGPU adapter: No supported adapters\n',
  'WebGPU validation failed. Concurrent buffer operations are not allowed',
  'WebGPU validation failed. Command encoding already finished.',
  "Non-zero status code returned while running Gather node. Name:'Gather_1' Status Message: indices element out of data bounds, idx=40000 must be within the inclusive range [-30522,30521]",
])('no batch is small enough for: %s', (message) => {
  expect(isOutOfMemory(message)).toBe(false);
});
