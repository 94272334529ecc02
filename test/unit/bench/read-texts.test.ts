import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { defaultTexts } from '../../../src/bench/default-texts.ts';
import { readBenchTexts } from '../../../src/bench/read-texts.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

const directory = await temporaryDirectory();

async function fileOf(name: string, content: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

test('JSON lines give text and title, blank texts are left out, the limit counts texts', async () => {
  const lines = ['{"text":"one","title":"First"}', '{"text":" "}', '', '{"text":"two","title":""}', '{"text":"three"}'];
  const path = await fileOf('passages.jsonl', lines.join('\n'));
  expect(await readBenchTexts(path, 2)).toEqual([
    { text: 'one', title: 'First' },
    { text: 'two', title: undefined },
  ]);
  expect(await readBenchTexts(path, 10)).toHaveLength(3);
});

test('other files are a text a line, unless they begin like JSON', async () => {
  const plain = await fileOf('plain.txt', 'first line\r\n\n  second line\n');
  expect((await readBenchTexts(plain, 10)).map(({ text }) => text)).toEqual(['first line', 'second line']);
  const json = await fileOf('dump.txt', '{"text":"inside"}\n');
  expect(await readBenchTexts(json, 10)).toEqual([{ text: 'inside', title: undefined }]);
});

test.each([
  ['not-there.jsonl', undefined, 'texts_missing', 'not-there.jsonl cannot be read'],
  ['.', undefined, 'texts_missing', 'not a file'],
  ['empty.jsonl', '\n \n', 'texts_empty', 'empty.jsonl holds no text'],
  ['blank.jsonl', '{"text":""}\n', 'texts_empty', 'blank.jsonl holds no text'],
  ['broken.jsonl', '{"text":"fine"}\n{"text":', 'texts_invalid', 'Line 2 of'],
  ['other.jsonl', '{"body":"fine"}', 'texts_invalid', 'Line 1 of'],
  ['list.json', '["a text"]', 'texts_invalid', 'has no "text"'],
  ['null.jsonl', 'null', 'texts_invalid', 'has no "text"'],
])('%s is refused with one sentence and the next command', async (name, content, code, message) => {
  const path = content === undefined ? join(directory, name) : await fileOf(name, content);
  const refusal = readBenchTexts(path, 10);
  await expect(refusal).rejects.toMatchObject({ name: 'ConfigError', code, hint: expect.stringContaining('--texts') });
  await expect(refusal).rejects.toThrow(message);
});

test('without a file the example corpus is taken, and named as missing where there is none', async () => {
  expect(defaultTexts()).toMatch(/passages\.jsonl$/);
  expect(() => defaultTexts(directory)).toThrow(expect.objectContaining({ code: 'texts_not_named' }));
});
