import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readModelConfig } from '../../../src/models/model-config.ts';
import { resolveModelFiles } from '../../../src/models/model-files.ts';
import { loadTokenizer } from '../../../src/models/tokenizer.ts';
import { goldenTexts } from './golden.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const files = await resolveModelFiles('sentence-transformers/all-MiniLM-L6-v2');
const config = await readModelConfig(files);
const tokenizer = await loadTokenizer(files.directory, config);

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

describe('a model that reads its vector off an end token which its tokenizer.json does not add', async () => {
  const directory = await temporaryDirectory();
  const tokenizerFile = (postProcessor: unknown) => ({
    version: '1.0',
    added_tokens: [
      {
        id: 3,
        content: '<|endoftext|>',
        special: true,
        normalized: false,
        lstrip: false,
        rstrip: false,
        single_word: false,
      },
    ],
    pre_tokenizer: { type: 'Whitespace' },
    post_processor: postProcessor,
    model: { type: 'WordLevel', vocab: { '[UNK]': 0, vacuum: 1, rows: 2 }, unk_token: '[UNK]' },
  });

  async function idsOf(postProcessor: unknown, texts: readonly string[], maxTokens = 8): Promise<readonly number[][]> {
    await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(tokenizerFile(postProcessor)));
    const loaded = await loadTokenizer(directory, { ...config, maxTokens, endToken: '<|endoftext|>' });
    return (await loaded.tokenize(texts)).map(({ ids }) => [...ids]);
  }

  test('gets it behind each text, also where the text is cut', async () => {
    expect(await idsOf(null, ['vacuum rows', 'rows'])).toEqual([
      [1, 2, 3],
      [2, 3],
    ]);
    expect(await idsOf(null, ['vacuum rows vacuum rows'], 3)).toEqual([[1, 2, 3]]);
  });

  test('does not get it twice', async () => {
    const template = {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '<|endoftext|>', type_id: 0 } }],
      pair: [],
      special_tokens: { '<|endoftext|>': { id: '<|endoftext|>', ids: [3], tokens: ['<|endoftext|>'] } },
    };
    expect(await idsOf(template, ['rows'])).toEqual([[2, 3]]);
  });

  test('is refused where its tokenizer has no such token', async () => {
    await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(tokenizerFile(null)));
    await expect(loadTokenizer(directory, { ...config, endToken: '</s>' })).rejects.toMatchObject({
      code: 'tokenizer_invalid',
      message: expect.stringContaining('has no token </s>'),
    });
  });
});
