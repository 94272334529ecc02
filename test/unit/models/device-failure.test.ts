import { expect, test } from 'vitest';
import { conciseReason, explainDeviceFailure } from '../../../src/models/device-failure.ts';

const GRAPH = '/models/bge-small/onnx/model.onnx';

/** As onnxruntime-node 1.30 with its CUDA libraries wrote it, the number and the text exchanged for others of CUDA's. */
function cudaFailure(text: string): string {
  const call =
    'std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, common::Status> = void]';
  const file = '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc';
  return `${file}:154 ${call} ${file}:146 ${call} ${text} ; GPU=-1 ; hostname=secret-host ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=352 ; expr=cudaSetDevice(info_.device_id); \n\n`;
}

const NO_ADAPTER =
  '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n';
const gone = (library: string): string => `${library}: cannot open shared object file: No such file or directory`;

function explain(device: 'cuda' | 'webgpu', reason: string, missing: readonly string[] = []) {
  return explainDeviceFailure({ device, deviceId: 7, graph: GRAPH, reason, missing });
}

test.each([
  [gone('libcuda.so.1'), 'libcuda.so.1 cannot be found, which is part of the NVIDIA driver', 'NVIDIA driver'],
  [
    gone('libcublasLt.so.13'),
    'libcublasLt.so.13 cannot be found, which is part of CUDA 13',
    'CUDA 13 runtime libraries',
  ],
  [
    gone('libcublasLt.so.12'),
    'libcublasLt.so.12 cannot be found, which is part of CUDA 12',
    'CUDA 12 runtime libraries',
  ],
  [gone('libcudart.so.12'), 'libcudart.so.12 cannot be found, which is part of CUDA 12', 'LD_LIBRARY_PATH'],
  [gone('libcufft.so.11'), 'libcufft.so.11 cannot be found', 'LD_LIBRARY_PATH'],
  [gone('libcudnn.so.9'), 'libcudnn.so.9 cannot be found', 'cuDNN 9'],
  [
    cudaFailure('CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version'),
    'the NVIDIA driver is too old for the CUDA libraries (CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version)',
    'Update the NVIDIA driver',
  ],
  [
    cudaFailure('CUDA failure 100: no CUDA-capable device is detected'),
    'the NVIDIA driver finds no device (CUDA failure 100: no CUDA-capable device is detected)',
    'CUDA_VISIBLE_DEVICES',
  ],
  [
    cudaFailure('CUDA failure 101: invalid device ordinal'),
    'there is no CUDA device 7 (CUDA failure 101: invalid device ordinal)',
    'EMBEDDING_DEVICE_ID',
  ],
  [
    cudaFailure('CUDA failure 209: no kernel image is available for execution on the device'),
    'this onnxruntime-node has no kernels for this kind of card (CUDA failure 209: no kernel image is available for execution on the device)',
    'another version of onnxruntime-node',
  ],
  [
    cudaFailure('CUDA failure 2: out of memory'),
    'its memory does not hold the model (CUDA failure 2: out of memory)',
    'EMBEDDING_DTYPE=fp16',
  ],
  [
    cudaFailure('CUDA failure 803: system has unsupported display driver / cuda driver combination'),
    'CUDA failure 803: system has unsupported display driver / cuda driver combination',
    'nvidia-smi',
  ],
  [
    cudaFailure('CUDNN failure 1002: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH'),
    'cuDNN does not work (CUDNN failure 1002: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH)',
    'one cuDNN 9',
  ],
])('cuda: %#', (reason, why, hint) => {
  const error = explain('cuda', reason);
  expect(error).toMatchObject({ code: 'device_refused', message: `cuda cannot be used for ${GRAPH}: ${why}.` });
  expect(error.hint).toContain(hint);
  expect(`${error.message} ${error.hint}`).not.toContain('secret-host');
});

test('a package without the CUDA libraries names the command that adds them, whatever ONNX Runtime said', () => {
  const reason = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library';
  const error = explain('cuda', reason, ['/p/libonnxruntime_providers_cuda.so']);
  expect(error.message).toContain(
    'the CUDA libraries of onnxruntime-node are not installed (/p/libonnxruntime_providers_cuda.so is missing)',
  );
  expect(error.hint).toContain('"npm rebuild onnxruntime-node --ignore-scripts=false"');
});

test('a package that was not built for the device says so', () => {
  const error = explain('cuda', "Invalid argument: sessionOptions.executionProviders[0] is unsupported: 'cuda'.");
  expect(error.message).toBe(`cuda cannot be used for ${GRAPH}: this onnxruntime-node was not built for it.`);
});

test.each([
  [
    NO_ADAPTER,
    'no usable graphics device was found (Failed to get a WebGPU adapter: No supported adapters)',
    'vulkaninfo',
  ],
  [gone('libvulkan.so.1'), 'libvulkan.so.1 cannot be found', 'apt install libvulkan1'],
])('webgpu: %#', (reason, why, hint) => {
  const error = explain('webgpu', reason);
  expect(error.message).toBe(`webgpu cannot be used for ${GRAPH}: ${why}.`);
  expect(error.hint).toContain(hint);
});

test('what nobody foresaw is passed on, in one line', () => {
  const error = explain('cuda', 'Something new\n  went wrong.\n');
  expect(error.message).toBe(`cuda cannot be used for ${GRAPH}: Something new went wrong.`);
  expect(error.hint).toContain('docs/models.md');
});

test('a reason keeps its facts and loses source files and signatures', () => {
  expect(conciseReason('Failed to allocate memory for requested buffer of size 12\n')).toBe(
    'Failed to allocate memory for requested buffer of size 12',
  );
  expect(conciseReason('v1.30.0 is too old')).toBe('v1.30.0 is too old');
});
