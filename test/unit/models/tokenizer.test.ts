import { expect, test } from 'vitest';
import { readModelConfig } from '../../../src/models/model-config.ts';
import { resolveModelFiles } from '../../../src/models/model-files.ts';
import { loadTokenizer } from '../../../src/models/tokenizer.ts';
import { goldenTexts } from './golden.ts';

const files = await resolveModelFiles('sentence-transformers/all-MiniLM-L6-v2');
const config = await readModelConfig(files);
const tokenizer = loadTokenizer(files.directory, config);

test('the bundled model is read as sentence-transformers reads it', () => {
  expect(config).toMatchObject({ pooling: 'mean', normalize: true, maxTokens: 256, lowerCase: false });
  expect(config.prefixes).toEqual({ document: '', query: '' });
  expect(tokenizer.padId).toBe(0);
});

test.each(goldenTexts().map((golden) => [JSON.stringify(golden.text.slice(0, 30)), golden] as const))(
  'token ids of %s are those of sentence-transformers',
  async (_, golden) => {
    const [tokenized] = await tokenizer.tokenize([golden.text]);
    expect([...(tokenized?.ids ?? [])]).toEqual(golden.inputIds);
  },
);

test('a text over the limit is cut and said to be', async () => {
  const [short, long] = await tokenizer.tokenize(['word '.repeat(254), 'word '.repeat(255)]);
  expect([short?.ids.length, short?.truncated]).toEqual([256, false]);
  expect([long?.ids.length, long?.truncated]).toEqual([256, true]);
});

test('texts that are the same to the model have the same key', async () => {
  const [a, b, c] = await tokenizer.tokenize(['Hello  World', 'hello world', 'hello worlds']);
  const keys = [a, b, c].map((each) => each?.key);
  expect(keys[0]).toBe(keys[1]);
  expect(keys[2]).not.toBe(keys[0]);
});

test('no texts are no work', async () => {
  expect(await tokenizer.tokenize([])).toEqual([]);
});
