import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { writeRandomModel } from '../../../scripts/make-random-model.ts';
import { loaderError, missingCudaLibraries } from '../../../src/models/cuda-libraries.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const directory = await temporaryDirectory();
await writeRandomModel(directory, { dimensions: 16 });
const graph = join(directory, 'onnx', 'model.onnx');
const script = fileURLToPath(new URL('./open-on-device.ts', import.meta.url));
const withoutCuda = missingCudaLibraries().length > 0;
const withoutVulkan = process.platform === 'linux' && loaderError('libvulkan.so.1') !== undefined;

interface Outcome {
  readonly device?: string;
  readonly note?: string;
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
}

/** A process of its own, because what native code prints goes past this one's streams. */
function attempt(device: string): { readonly outcome: Outcome; readonly stderr: string } {
  const run = spawnSync(process.execPath, ['--import', 'tsx', script, device, graph], { encoding: 'utf8' });
  return { outcome: JSON.parse(run.stdout), stderr: run.stderr };
}

test.skipIf(!withoutCuda)(
  'cuda without its libraries (skipped where they are): refused with the command, in silence',
  () => {
    const { outcome, stderr } = attempt('cuda');
    expect(outcome).toMatchObject({
      code: 'device_refused',
      message: expect.stringMatching(/^cuda cannot be used for .+model\.onnx: [^.]+ onnxruntime-node /),
      hint: expect.stringContaining('EMBEDDING_DEVICE=cpu'),
    });
    if (process.platform === 'linux' && process.arch === 'x64') {
      expect(outcome.message).toContain('libonnxruntime_providers_shared.so is missing');
      expect(outcome.hint).toContain('npm rebuild onnxruntime-node --ignore-scripts=false');
    }
    expect(stderr).toBe('');
  },
);

test.skipIf(!withoutVulkan)('webgpu without Vulkan (skipped where it is): refused by its name, in silence', () => {
  const { outcome, stderr } = attempt('webgpu');
  expect(outcome).toMatchObject({
    code: 'device_refused',
    message: expect.stringMatching(/^webgpu cannot be used for .+model\.onnx: libvulkan\.so\.1 cannot be found\.$/),
    hint: expect.stringContaining('libvulkan1'),
  });
  expect(stderr).toBe('');
});

test.skipIf(!withoutCuda)('auto without CUDA (skipped where it is) takes the CPU and says why, in silence', () => {
  const { outcome, stderr } = attempt('auto');
  expect(outcome).toEqual({ device: 'cpu', note: expect.stringMatching(/^not on cuda: .*onnxruntime-node/) });
  expect(stderr).toBe('');
});

test.each(['cuda', 'webgpu'])('%s is the device that was asked for, or refused', (device) => {
  const { outcome } = attempt(device);
  if (outcome.code === undefined) expect(outcome).toEqual({ device });
  else expect(outcome).toMatchObject({ code: 'device_refused', message: expect.stringContaining(device) });
});
