import { expect, test } from 'vitest';
import { type CudaFacts, judgeCuda } from '../../../src/inspect/doctor/cuda.ts';

const CARD = 'NVIDIA H100, 550.54.15, 81559 MiB';
const SOUND: CudaFacts = { devices: [CARD], driverProblem: undefined, missing: [], loaderError: undefined };

test('a card with its driver and libraries is in order, and named', () => {
  for (const device of ['auto', 'cuda'] as const) {
    expect(judgeCuda(device, SOUND)).toMatchObject({ findings: [], detail: expect.stringContaining(CARD) });
  }
});

test('a card that is not used for want of a library is a warning on auto, an error where it was asked for', () => {
  const facts = { ...SOUND, missing: ['/x/libonnxruntime_providers_cuda.so'] };
  expect(judgeCuda('auto', facts).findings).toMatchObject([
    { code: 'cuda_unused', severity: 'warning', hint: expect.stringContaining('npm rebuild onnxruntime-node') },
  ]);
  expect(judgeCuda('cuda', facts).findings).toMatchObject([
    {
      code: 'cuda_missing',
      severity: 'error',
      message: expect.stringContaining('libonnxruntime_providers_cuda.so is missing'),
    },
  ]);
});

test('a library that the loader lacks is named with the CUDA version that it is part of', () => {
  const loaderError = 'libcublasLt.so.12: cannot open shared object file: No such file or directory';
  expect(judgeCuda('cuda', { ...SOUND, loaderError }).findings).toMatchObject([
    {
      code: 'cuda_missing',
      message: expect.stringContaining('libcublasLt.so.12 cannot be found, which is part of CUDA 12'),
    },
  ]);
});

test('without a card auto goes on with the CPU, cuda does not', () => {
  const facts = { ...SOUND, devices: [], driverProblem: 'nvidia-smi is not there' };
  expect(judgeCuda('auto', facts)).toMatchObject({ findings: [], detail: expect.stringContaining('the CPU is used') });
  expect(judgeCuda('cuda', facts).findings).toMatchObject([
    {
      code: 'cuda_missing',
      message: 'EMBEDDING_DEVICE is cuda, but there is no NVIDIA device (nvidia-smi is not there).',
    },
  ]);
});
