import { expect, test } from 'vitest';
import { loaderError } from '../../../src/models/cuda-libraries.ts';
import { assertDevice, whyNotCuda } from '../../../src/models/device.ts';
import { inTurn, webgpuTurn } from '../../../src/models/device-turn.ts';

const surroundings = { platform: 'linux/x64', builtFor: ['cpu', 'webgpu', 'cuda'], missing: [] };

test('auto tries CUDA where it can work and otherwise says what is in the way', () => {
  expect(whyNotCuda('fp32', surroundings)).toBeUndefined();
  expect(whyNotCuda('int8', surroundings)).toBe('int8 graphs run on the CPU only');
  expect(whyNotCuda('fp32', { platform: 'darwin/arm64', builtFor: ['cpu', 'webgpu', 'coreml'], missing: [] })).toBe(
    'onnxruntime-node has no CUDA for darwin/arm64',
  );
  expect(whyNotCuda('fp16', { ...surroundings, missing: ['libonnxruntime_providers_cuda.so'] })).toContain(
    'npm rebuild onnxruntime-node --ignore-scripts=false',
  );
});

test('int8 is refused by name on a device, and runs where it can', () => {
  expect(() => assertDevice('cuda', 'int8', 'model.onnx', undefined)).toThrow(
    /int8 graph model.onnx runs on the CPU only/,
  );
  expect(() => assertDevice('webgpu', 'int8', 'model.onnx', undefined)).toThrow(/not on webgpu/);
  for (const device of ['auto', 'cpu'] as const) assertDevice(device, 'int8', 'model.onnx', undefined);
});

test('a device number that would be ignored is refused', () => {
  expect(() => assertDevice('webgpu', 'fp32', 'model.onnx', 1)).toThrow(/EMBEDDING_DEVICE_ID is 1/);
  assertDevice('cuda', 'fp32', 'model.onnx', 1);
});

test.skipIf(process.platform !== 'linux')(
  'the loader says which library is missing, and nothing about one it finds',
  () => {
    expect(loaderError('libreembed-nowhere.so.1')).toBe(
      'libreembed-nowhere.so.1: cannot open shared object file: No such file or directory',
    );
    expect(loaderError('libm.so.6')).toBeUndefined();
  },
);

test('the turn is given back after success and after failure', async () => {
  expect(await inTurn(webgpuTurn, async () => 'done')).toBe('done');
  await expect(inTurn(webgpuTurn, () => Promise.reject(new Error('lost')))).rejects.toThrow('lost');
  expect(await inTurn(webgpuTurn, async () => 'done again')).toBe('done again');
});
