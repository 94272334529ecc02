import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { calibrate } from '../../../src/models/calibration.ts';
import { openLocalModel } from '../../../src/models/local-model.ts';
import type { ProviderOptions } from '../../../src/providers/provider-options.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';
import { expectClose, expectedVector, type Fixture, randomModel, withProvider } from './random-model-fixture.ts';

const root = await temporaryDirectory();
const fixture = await randomModel({ pooling: 'mean' });
const WORDS = ['vacuum', 'rows', 'index', 'transaction', 'page', 'heap', 'tuple'];
/** 1,000 texts of 3 to 103 tokens: enough for all rounds. */
const texts = Array.from({ length: 1000 }, (_, i) =>
  Array.from({ length: 1 + ((i * 37) % 101) }, (_, word) => WORDS[(i + word) % WORDS.length]).join(' '),
);
const entrySchema = z.object({
  calibration: z.object({
    budget: z.number(),
    measured: z.array(z.object({ budget: z.number(), tokensPerSecond: z.number() })),
  }),
});

/** Embeds in a provider of its own and returns what that said, the line about the device left out. */
async function notices(cacheDir: string, some = texts, options: ProviderOptions = {}, model: Fixture = fixture) {
  const said: string[] = [];
  const { vectors } = await withProvider(
    model,
    { threads: 2, cacheDir, onNotice: (message) => said.push(message), ...options },
    (provider) => provider.embed(some, { kind: 'document' }),
  );
  return { said: said.slice(1), vectors };
}

async function entries(cacheDir: string) {
  const directory = join(cacheDir, 'calibration');
  const names = await readdir(directory).catch(() => []);
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      return { path, ...entrySchema.parse(JSON.parse(await readFile(path, 'utf8'))).calibration };
    }),
  );
}

test('the first large call finds the budget on its own texts, and every vector is right', async () => {
  const cacheDir = join(root, 'first');
  const { said, vectors } = await notices(cacheDir);
  expect(said).toHaveLength(1);
  const [line = ''] = said;
  expect(line).toMatch(/^Calibrated on your texts: \d+ tokens a batch \(128: [\d,]+ tokens\/s, 256: .*, 2048: .*\)$/);
  const [entry] = await entries(cacheDir);
  // The choice is the maximum of the table that is printed and kept.
  const best = entry?.measured.reduce((a, b) => (b.tokensPerSecond > a.tokensPerSecond ? b : a));
  expect(entry?.measured.map(({ budget }) => budget)).toEqual([128, 256, 512, 1024, 2048]);
  expect(entry?.budget).toBe(best?.budget);
  expect(line).toContain(`: ${best?.budget} tokens a batch (`);
  expect(vectors).toHaveLength(texts.length);
  for (const index of [0, 1, 15, 16, 17, 500, 999])
    expectClose(vectors[index], await expectedVector(fixture, texts[index] ?? '', 'mean'));
});

test('a second start reads it from the cache; a damaged cache is measured anew', async () => {
  const cacheDir = join(root, 'second');
  await notices(cacheDir);
  const [kept] = await entries(cacheDir);
  const { said } = await notices(cacheDir);
  expect(said).toEqual([
    expect.stringContaining(`${kept?.budget} tokens a batch, as calibrated on this machine on 20`),
  ]);
  expect(await entries(cacheDir)).toEqual([kept]);
  await writeFile(kept?.path ?? '', '{ "format": 1, ');
  expect((await notices(cacheDir)).said).toEqual([expect.stringMatching(/^Calibrated on your texts/)]);
  expect(await entries(cacheDir)).toHaveLength(1);
});

test('small calls never calibrate', async () => {
  const cacheDir = join(root, 'small');
  expect((await notices(cacheDir, texts.slice(0, 511))).said).toEqual([]);
  expect(await entries(cacheDir)).toEqual([]);
});

test('a limit on the texts of a batch is calibrated for itself', async () => {
  const cacheDir = join(root, 'limited');
  await notices(cacheDir);
  expect((await notices(cacheDir, texts, { batchSize: 2 })).said).toEqual([expect.stringMatching(/^Calibrated/)]);
  expect(await entries(cacheDir)).toHaveLength(2);
});

test('a cache that cannot be written is no error', async () => {
  const file = join(root, 'not-a-directory');
  await writeFile(file, '');
  expect((await notices(file)).said).toEqual([expect.stringMatching(/^Calibrated on your texts/)]);
});

test('budgets with which memory runs out are left out, and the texts are embedded all the same', async () => {
  const cacheDir = join(root, 'memory');
  // 30 texts fit, so 128 tokens do and 256 do not; texts so short that a window is one turn of one budget.
  const tight = await randomModel({ largestBatch: 30, pooling: 'mean' });
  const short = Array.from({ length: 25_600 }, (_, i) => `${WORDS[i % 7]} ${WORDS[i % 5]} ${WORDS[i % 3]}`);
  const { vectors, said } = await notices(cacheDir, short, {}, tight);
  // Warming up with 512 tokens is where memory runs out first.
  expect(said).toEqual([
    expect.stringMatching(/^Memory ran out/),
    expect.stringMatching(/^Calibrated on your texts: 128 tokens a batch \(128: [\d,]+ tokens\/s\)$/),
  ]);
  for (const index of [0, 1023, 1024, 25_599])
    expectClose(vectors[index], await expectedVector(tight, short[index] ?? '', 'mean'));
});

test('a call that is stopped leaves the calibration to the next', async () => {
  const said: string[] = [];
  await withProvider(fixture, { threads: 2, onNotice: (message) => said.push(message) }, async (provider) => {
    const stop = new AbortController();
    const running = provider.embed([...texts, ...texts], { kind: 'document', signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    await provider.embed(texts, { kind: 'document' });
  });
  expect(said.slice(1)).toEqual([expect.stringMatching(/^Calibrated on your texts/)]);
});

test('calibrate compares the candidates it is given, as often as it is told', async () => {
  const model = await openLocalModel(fixture.directory, { device: 'cpu', threads: 2 });
  const tokenized = await model.tokenizer.tokenize(texts);
  const { measured, budget } = await calibrate(model, tokenized, { candidates: [512, 64], rounds: 2 });
  expect(measured.map((each) => each.budget)).toEqual([64, 512]);
  expect(measured.find((each) => each.budget === budget)?.tokensPerSecond).toBe(
    Math.max(...measured.map((each) => each.tokensPerSecond)),
  );
  await expect(calibrate(model, [])).rejects.toMatchObject({ code: 'calibration_failed' });
  await model.pool.close();
});

test('when a further thread cannot be opened the others do the work', async () => {
  const lost = await randomModel({});
  const said: string[] = [];
  const { vectors } = await withProvider(
    lost,
    { threads: 3, onNotice: (message) => said.push(message) },
    async (provider) => {
      await rm(join(lost.directory, 'onnx', 'model.onnx'));
      return provider.embed(texts, { kind: 'document' });
    },
  );
  expect(vectors.filter((vector) => vector.length === 16)).toHaveLength(texts.length);
  expect(said.join('\n')).toContain('A further inference thread could not be opened; 1 do the work. ONNX Runtime');
});
