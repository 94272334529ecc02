import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { InterruptedError } from '../../../../src/errors.ts';
import type { UsageLedger } from '../../../../src/providers/types.ts';
import { hashVectors } from '../../../helpers/scripted-protocols.ts';
import { openAt, scripted, status, TEXTS } from './remote-bed.ts';

const DOCUMENTS = { kind: 'document' } as const;

async function cacheDirectory(): Promise<string> {
  const cacheDir = await mkdtemp(join(tmpdir(), 'reembed-answers-'));
  onTestFinished(() => rm(cacheDir, { recursive: true, force: true }));
  return cacheDir;
}

/** Lets so many requests through, and no more. */
function ledgerOf(requests: number): UsageLedger {
  let left = requests;
  return {
    async admit() {
      left -= 1;
      if (left < 0) throw new InterruptedError('budget_reached', 'no more');
    },
    settle: async () => undefined,
  };
}

it('requests that were sent before the budget was reached still come in, and are kept', async () => {
  const server = await scripted();
  const cacheDir = await cacheDirectory();
  server.rule = () => ({ kind: 'ok', delayMs: 60 });
  const one = { cacheDir, batchSize: 1 };
  const stopped = await openAt(server, 'openai', { ...one, ledger: ledgerOf(3) });
  await expect(stopped.embed(TEXTS, DOCUMENTS)).rejects.toMatchObject({ code: 'budget_reached' });
  expect(server.embedded()).toHaveLength(3);
  const again = await openAt(server, 'openai', one);
  expect((await again.embed(TEXTS, DOCUMENTS)).vectors).toHaveLength(TEXTS.length);
  expect(server.embedded()).toHaveLength(4);
});

it('requests that are in flight when one text is refused still come in, and are not paid for again', async () => {
  const server = await scripted();
  const one = { cacheDir: await cacheDirectory(), batchSize: 1 };
  const provider = await openAt(server, 'openai', one);
  await provider.embed(['before'], DOCUMENTS);
  server.rule = ({ texts }) => (texts.includes('bad') ? status(400) : { kind: 'ok', delayMs: 60 });
  await expect(provider.embed(['bad', ...TEXTS], DOCUMENTS)).rejects.toMatchObject({ scope: 'text' });
  const asked = server.embedded().length;
  expect((await provider.embed(TEXTS, DOCUMENTS)).tokens).toBe(0);
  expect(server.embedded()).toHaveLength(asked);
});

it('a service that ends while one bad text is looked for is the failure that is told, and is asked no more', async () => {
  const server = await scripted();
  const one = { cacheDir: await cacheDirectory(), batchSize: 1, env: { EMBEDDING_MAX_REQUESTS: '2' } };
  const provider = await openAt(server, 'openai', one);
  await provider.embed(['before'], DOCUMENTS);
  server.rule = ({ texts }) => (texts.includes('bad') ? status(400) : status(410));
  const many = Array.from({ length: 20 }, (_, i) => `text ${i}`);
  await expect(provider.embed(['bad', ...many], DOCUMENTS)).rejects.toMatchObject({ code: 'model_gone' });
  expect(server.embedded().length).toBeLessThan(8);
});

it('an answer that a halved request brought is kept under its own text', async () => {
  const server = await scripted();
  const cacheDir = await cacheDirectory();
  server.rule = ({ texts }) => (texts.length > 1 ? status(413) : undefined);
  const first = await openAt(server, 'openai', { cacheDir });
  expect((await first.embed(TEXTS, DOCUMENTS)).vectors).toEqual(await hashVectors(TEXTS, 8));
  const asked = server.embedded().length;
  const second = await openAt(server, 'openai', { cacheDir });
  expect((await second.embed(TEXTS.toReversed(), DOCUMENTS)).vectors).toEqual(await hashVectors(TEXTS.toReversed(), 8));
  expect(server.embedded()).toHaveLength(asked);
});

it('a text that had to be cut is counted as cut when it comes from the cache, and its neighbours are not', async () => {
  const server = await scripted();
  const cacheDir = await cacheDirectory();
  const long = Array.from({ length: 900 }, (_, i) => `w${i}`).join(' ');
  server.rule = ({ texts }) =>
    texts.some((text) => text.split(' ').length > 512)
      ? status(400, { error: { message: "Invalid 'input': maximum context length is 512 tokens." } })
      : undefined;
  const model = 'BAAI/bge-small-en-v1.5';
  const first = await openAt(server, 'openai', { cacheDir, model });
  const fresh = await first.embed(['a', long, 'b'], DOCUMENTS);
  const asked = server.embedded().length;
  const second = await openAt(server, 'openai', { cacheDir, model });
  expect(await second.embed(['b', long, 'a'], DOCUMENTS)).toEqual({
    vectors: fresh.vectors.toReversed(),
    tokens: 0,
    truncated: 1,
  });
  expect(fresh.truncated).toBe(1);
  expect(await second.embed(['a', 'b'], DOCUMENTS)).toMatchObject({ truncated: 0 });
  expect(server.embedded()).toHaveLength(asked);
});

it('a probe asks the service, whatever is kept', async () => {
  const server = await scripted();
  const provider = await openAt(server, 'openai', { cacheDir: await cacheDirectory() });
  await provider.embed(['ok'], DOCUMENTS);
  expect(await provider.probe()).toMatchObject({ ok: true });
  expect(server.embedded()).toHaveLength(2);
});

it('REEMBED_VECTOR_CACHE=off keeps nothing', async () => {
  const server = await scripted();
  const cacheDir = await cacheDirectory();
  for (let i = 0; i < 2; i++) {
    const provider = await openAt(server, 'openai', { cacheDir, env: { REEMBED_VECTOR_CACHE: 'off' } });
    await provider.embed(['ok'], DOCUMENTS);
  }
  expect(server.embedded()).toHaveLength(2);
});
