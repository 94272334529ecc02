import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { expectClose, expectedVector, randomModel, withProvider } from './random-model-fixture.ts';

const texts = ['hello world', 'a longer text about vacuum and dead rows', 'rows', ''];

test.each(['cls', 'mean', 'lasttoken'] as const)('%s pooling equals the arithmetic, padded or not', async (pooling) => {
  const fixture = await randomModel({ pooling });
  const { vectors } = await withProvider(fixture, {}, (provider) => provider.embed(texts, { kind: 'document' }));
  for (const [index, text] of texts.entries())
    expectClose(vectors[index], await expectedVector(fixture, text, pooling));
});

test('prefixes of the files go before documents and queries', async () => {
  const fixture = await randomModel({ prompts: { query: 'query: ', document: 'passage: ' } });
  const [query, document] = await withProvider(fixture, {}, async (provider) => [
    await provider.embed(texts, { kind: 'query' }),
    await provider.embed(texts, { kind: 'document' }),
  ]);
  for (const [index, text] of texts.entries()) {
    expectClose(query?.vectors[index], await expectedVector(fixture, `query: ${text}`, 'cls'));
    expectClose(document?.vectors[index], await expectedVector(fixture, `passage: ${text}`, 'cls'));
  }
});

test('a model of the form of bge-small without files of its own gets cls pooling and the query instruction', async () => {
  const fixture = await randomModel({ modules: false }, 'BAAI/bge-small-en-v1.5');
  const { vectors } = await withProvider(fixture, {}, (provider) => provider.embed(['rows'], { kind: 'query' }));
  const text = 'Represent this sentence for searching relevant passages: rows';
  expectClose(vectors[0], await expectedVector(fixture, text, 'cls'));
});

test('an unknown model that says nothing about pooling is refused, not guessed', async () => {
  const fixture = await randomModel({ modules: false });
  await expect(withProvider(fixture, {}, (provider) => provider.probe())).rejects.toMatchObject({
    code: 'pooling_unknown',
    hint: expect.stringContaining('1_Pooling/config.json'),
  });
});

test('when memory runs out the batch is halved, every vector still comes and is right', async () => {
  const fixture = await randomModel({ largestBatch: 3 });
  const notices: string[] = [];
  const many = Array.from({ length: 40 }, (_, i) => `text ${i}`);
  const { vectors } = await withProvider(fixture, { onNotice: (message) => notices.push(message) }, (provider) =>
    provider.embed(many, { kind: 'document' }),
  );
  for (const [index, text] of many.entries()) expectClose(vectors[index], await expectedVector(fixture, text, 'cls'));
  expect(notices.join('\n')).toContain('Memory ran out: batches were halved');
});

test('a single text that does not fit into memory is an error that says so', async () => {
  const fixture = await randomModel({ largestBatch: 1 });
  // The first run already has one text, so a graph that allows none cannot even be opened.
  await withProvider(fixture, { batchSize: 1 }, (provider) => provider.embed(['a', 'b'], { kind: 'document' }));
  const none = await randomModel({ largestBatch: 0 });
  await expect(withProvider(none, {}, (provider) => provider.probe())).rejects.toThrow(/llocat/);
});

test('batchSize bounds the texts of a batch', async () => {
  const fixture = await randomModel({ largestBatch: 4 });
  const notices: string[] = [];
  const options = { batchSize: 4, onNotice: (message: string) => notices.push(message) };
  await withProvider(fixture, options, (provider) => provider.embed(Array(50).fill('text'), { kind: 'document' }));
  // Nothing but the line about the device: no batch was too large.
  expect(notices).toHaveLength(1);
});

test('a model without tokenizer.json is refused by its name', async () => {
  const fixture = await randomModel({});
  await rm(join(fixture.directory, 'tokenizer.json'));
  await expect(withProvider(fixture, {}, (provider) => provider.probe())).rejects.toMatchObject({
    code: 'model_file_missing',
  });
});

test.each(['cuda', 'webgpu'] as const)('%s is used or refused by name, never replaced by the CPU', async (device) => {
  const fixture = await randomModel({});
  const outcome = await withProvider(fixture, { device }, (provider) => provider.probe()).catch((error) => error);
  if (outcome instanceof Error) {
    expect(outcome).toMatchObject({ code: 'device_refused', message: expect.stringContaining(device) });
  } else expect(outcome.device).toContain(device);
});
