import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { createProvider } from '../../../src/providers/create-provider.ts';
import type { EmbeddingProvider } from '../../../src/providers/types.ts';

const long = Array.from({ length: 1500 }, () => 'word '.repeat(200));

function openBundled(): Promise<EmbeddingProvider> {
  const reference = { provider: 'local', model: 'all-MiniLM-L6-v2', dimensions: 384 } as const;
  return createProvider(reference, { device: 'cpu', threads: 1 });
}

test('a thread that dies at work is an error, not a hang, and is replaced', async () => {
  const threads: Worker[] = [];
  const remember = (worker: Worker): void => void threads.push(worker);
  process.on('worker', remember);
  const provider = await openBundled();
  const running = provider.embed(long, { kind: 'document' });
  const outcome = expect(running).rejects.toMatchObject({
    code: 'worker_crashed',
    message: expect.stringMatching(
      /^An inference thread ended unexpectedly with \d batches in flight: Cannot read prop/,
    ),
    hint: expect.stringContaining('EMBEDDING_THREADS'),
  });
  // From its first answer on, batches are in flight without a pause.
  await new Promise((resolve) => threads[0]?.once('message', resolve));
  // What no request looks like: an exception that nothing in the thread catches.
  threads[0]?.postMessage(null);
  await outcome;
  expect((await provider.embed(['rows'], { kind: 'document' })).vectors[0]).toHaveLength(384);
  process.off('worker', remember);
  expect(threads).toHaveLength(2);
  await provider.close();
});

test('closing ends the threads and rejects what still waits', async () => {
  const provider = await openBundled();
  const running = provider.embed(long, { kind: 'document' });
  const outcome = expect(running).rejects.toMatchObject({ code: 'pool_closed' });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await Promise.all([provider.close(), outcome]);
  await provider.close();
  await expect(provider.embed(['x'], { kind: 'document' })).rejects.toMatchObject({ code: 'pool_closed' });
});

test.each([
  ['exit', 7],
  ['throw', 1],
  ['idle', 0],
  ['close', 5],
] as const)('a process that ends by %s while threads exist keeps its exit code', (how, code) => {
  const script = fileURLToPath(new URL('./end-at-work.ts', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, how], { encoding: 'utf8' });
  expect({ status, stderr: how === 'throw' ? '' : stderr }).toEqual({
    status: code,
    stderr: '',
  });
});
