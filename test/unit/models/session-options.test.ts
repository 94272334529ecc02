import { env, InferenceSession } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { sessionOptionsFor } from '../../../src/models/session-options.ts';

// As session.ts has it: what fails is thrown, not printed.
env.logLevel = 'fatal';
const settings = { dtype: 'fp32', graphOptimizationLevel: undefined } as const;

test('the device number reaches CUDA, and is 0 unless said', () => {
  const providers = (deviceId?: number) =>
    sessionOptionsFor({ ...settings, device: 'cuda', deviceId }).executionProviders;
  expect(providers(3)).toEqual([{ name: 'cuda', deviceId: 3 }]);
  expect(providers()).toEqual([{ name: 'cuda', deviceId: 0 }]);
});

test('a device is the only one asked for: nothing is left to fall back on', () => {
  for (const device of ['cpu', 'cuda', 'webgpu'] as const) {
    expect(sessionOptionsFor({ ...settings, device }).executionProviders).toHaveLength(1);
  }
});

test('WebGPU validates: without that a buffer that could not be had gives wrong vectors', () => {
  const { executionProviders } = sessionOptionsFor({ ...settings, device: 'webgpu', deviceId: 1 });
  expect(executionProviders).toEqual([{ name: 'webgpu', validationMode: 'basic' }]);
});

test('the slow fusions are disabled for int8 on the CPU and nowhere else', () => {
  const extra = (device: 'cpu' | 'cuda', dtype: 'int8' | 'fp32') =>
    sessionOptionsFor({ ...settings, device, dtype }).extra;
  expect(extra('cpu', 'int8')).toEqual({
    optimization: { disable_specified_optimizers: expect.stringContaining('SkipLayerNormFusion') },
  });
  expect(extra('cpu', 'fp32')).toBeUndefined();
  expect(extra('cuda', 'fp32')).toBeUndefined();
});

test('onnxruntime-node understands every option, also where the device itself is missing', async () => {
  for (const device of ['cpu', 'cuda', 'webgpu'] as const) {
    const options = sessionOptionsFor({ ...settings, device, deviceId: 1 });
    // Devices are appended and options read before the graph is, so an empty one is enough to come that far.
    const error = await InferenceSession.create(new Uint8Array(4), options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).not.toMatch(/Invalid argument|unrecognized option|must be/);
  }
});
