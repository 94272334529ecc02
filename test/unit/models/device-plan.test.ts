import { expect, test } from 'vitest';
import { deviceBytes, planDevice } from '../../../src/models/device-plan.ts';

const GB = 1024 ** 3;
/** bge-small in fp32. */
const small = { graphBytes: 133e6, dtype: 'fp32', dimensions: 384, maxTokens: 512 } as const;
/** A model of 1.5 billion parameters in fp16. */
const large = { graphBytes: 3.1e9, dtype: 'fp16', dimensions: 1536, maxTokens: 512 } as const;

test('CUDA has two batches in flight and many sizes to choose from; threads override the number', () => {
  const plan = planDevice(small, { device: 'cuda' });
  expect(plan).toEqual({ sessions: 2, tokens: 16_384, candidates: [4096, 8192, 16_384, 32_768, 65_536] });
  expect(planDevice(small, { device: 'cuda', sessions: 1 }).sessions).toBe(1);
});

test('WebGPU has one session, whatever is asked for: its sessions share one queue', () => {
  expect(planDevice(small, { device: 'webgpu', sessions: 8 }).sessions).toBe(1);
});

test.each([1, 2, 4, 8, 16, 32])(
  'a limit of %i GB holds for all sessions together, with the largest batch',
  (gigabytes) => {
    for (const [needs, least] of [
      [small, 0],
      [large, 4],
    ] as const) {
      if (gigabytes < least) continue;
      const { sessions, candidates, tokens } = planDevice(needs, { device: 'cuda', limit: gigabytes * GB });
      expect(sessions * deviceBytes(needs, Math.max(...candidates))).toBeLessThanOrEqual(gigabytes * GB);
      expect(candidates).toContain(tokens);
    }
  },
);

test('a second session goes before the batches get small', () => {
  const sessions = (gigabytes: number) => planDevice(small, { device: 'cuda', limit: gigabytes * GB }).sessions;
  expect(sessions(1)).toBe(1);
  expect(sessions(16)).toBe(2);
});

test('a limit below the model and its longest text is refused with what it would take', () => {
  expect(() => planDevice(large, { device: 'cuda', limit: 2 * GB })).toThrow(
    expect.objectContaining({
      code: 'gpu_memory_too_small',
      message: expect.stringMatching(
        /^EMBEDDING_GPU_MEMORY is 2048 MB, the model and one text of 512 tokens take about \d+ MB\.$/,
      ),
      hint: expect.stringMatching(/EMBEDDING_GPU_MEMORY=\d+MB or more/),
    }),
  );
});

test('the amount that a refusal names is enough', () => {
  let named = '';
  try {
    planDevice(large, { device: 'cuda', limit: 2 * GB });
  } catch (error) {
    named = /=(\d+)MB/.exec(String((error as { hint?: string }).hint))?.[1] ?? '';
  }
  const { sessions, candidates } = planDevice(large, { device: 'cuda', limit: Number(named) * 1024 ** 2 });
  expect(sessions).toBe(1);
  expect(candidates[0]).toBeGreaterThanOrEqual(large.maxTokens);
});
