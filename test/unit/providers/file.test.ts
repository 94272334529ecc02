import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createProvider } from '../../../src/providers/create-provider.ts';
import type { EmbeddingProvider } from '../../../src/providers/types.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

const directory = await temporaryDirectory();
let count = 0;

async function write(extension: string, content: string | Uint8Array, base = `vectors-${count++}`): Promise<string> {
  const path = join(directory, `${base}${extension}`);
  await writeFile(path, content);
  return path;
}

const lines = (...records: readonly unknown[]): string => records.map((record) => JSON.stringify(record)).join('\n');
const open = (model: string, dimensions = 2): Promise<EmbeddingProvider> =>
  createProvider({ provider: 'file', model, dimensions });

async function vectorsOf(path: string, texts: readonly string[]): Promise<readonly (readonly number[])[]> {
  const provider = await open(path);
  const { vectors } = await provider.embed(texts, { kind: 'query' });
  await provider.close();
  return vectors.map((vector) => [...vector]);
}

test('vectors are found by text, by key and by the sha256 of the text', async () => {
  const secret = createHash('sha256').update('third').digest('hex');
  const path = await write(
    '.jsonl',
    `${lines({ text: 'naïve – 中文', embedding: [1, 2] }, { key: 'second', vector: [3, 4] })}\n\n${lines({ key: secret, vector: [5, 6] })}\n`,
  );
  expect(await vectorsOf(path, ['third', 'naïve – 中文', 'second', 'third'])).toEqual([
    [5, 6],
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
});

test('float16 and float32 rows take their texts from the file of the same name', async () => {
  const texts = lines({ text: 'a' }, { text: 'b' });
  await write('.jsonl', texts, 'half');
  // 1, -2, 0.5, 65504
  const half = await write('.f16', new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x3800, 0x7bff).buffer), 'half');
  expect(await vectorsOf(half, ['b', 'a'])).toEqual([
    [0.5, 65504],
    [1, -2],
  ]);
  await write('.jsonl', texts, 'full');
  const full = await write('.f32', new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer), 'full');
  expect(await vectorsOf(full, ['b'])).toEqual([[3, 4]]);
});

test('a description joins several files and names the property of the text', async () => {
  await write('.jsonl', lines({ title: 'T1', text: 'D1' }, { title: 'T1', text: 'D2' }), 'passages');
  await write('.f32', new Uint8Array(Float32Array.of(1, 0, 0, 1).buffer), 'documents');
  await write('.f32', new Uint8Array(Float32Array.of(2, 0, 2, 0).buffer), 'titles');
  const sets = [
    { vectors: 'documents.f32', texts: 'passages.jsonl', field: 'text' },
    { vectors: 'titles.f32', texts: 'passages.jsonl', field: 'title' },
  ];
  const path = await write('.json', JSON.stringify({ sets }));
  expect(await vectorsOf(path, ['D2', 'T1'])).toEqual([
    [0, 1],
    [2, 0],
  ]);
});

test('a missing text is an error that no retry changes and that names its beginning', async () => {
  const path = await write('.jsonl', lines({ text: 'a', vector: [1, 2] }));
  const provider = await open(path);
  const text = `${'There is no vector for this text, '.repeat(3)}end`;
  await expect(provider.embed(['a', text], { kind: 'document' })).rejects.toMatchObject({
    code: 'vector_missing',
    retryable: false,
    message: `${path} has no vector for the text "There is no vector for this text, There is no vector for thi…".`,
  });
  await provider.close();
});

test.each([
  ['a vector of another length', { text: 'a', vector: [1, 2, 3] }, /line 2 .* has 3 dimensions, 2 were expected/],
  ['a value that is no number', { text: 'a', vector: [1, null] }, /Value 2 of the vector in line 2 .* is NaN/],
  ['no vector', { text: 'a' }, /no "vector" or "embedding" in line 2/],
  ['no text', { vector: [1, 2] }, /Line 2 .* has no "text" or "key"/],
  ['no object', 17, /Line 2 .* is not a JSON object/],
])('a line with %s is named', async (_, record, message) => {
  const path = await write('.jsonl', lines({ text: 'ok', vector: [1, 2] }, record));
  await expect(open(path)).rejects.toMatchObject({ code: 'vectors_invalid', message: expect.stringMatching(message) });
});

test('rows that do not fit the texts are refused with the arithmetic', async () => {
  await write('.jsonl', lines({ text: 'a' }, { text: 'b' }), 'short');
  const path = await write('.f16', new Uint8Array(6), 'short');
  await expect(open(path)).rejects.toMatchObject({
    message: expect.stringContaining('has 6 bytes; 2 texts × 2 dimensions need 8'),
  });
});

test('a file that is not there, or of an unknown form, is named', async () => {
  await expect(open(join(directory, 'none.jsonl'))).rejects.toMatchObject({
    message: `The vectors' file ${join(directory, 'none.jsonl')} does not exist.`,
  });
  await expect(open(await write('.csv', ''))).rejects.toMatchObject({
    message: expect.stringContaining('.csv is no file'),
  });
});

test('lines longer than a read are put together again', async () => {
  const wide = Array.from({ length: 16_000 }, (_, i) => i + 0.123456789);
  const records = Array.from({ length: 12 }, (_, i) => ({ text: `text ${i}`, vector: wide.map((value) => value + i) }));
  const provider = await open(await write('.jsonl', lines(...records)), 16_000);
  const { vectors } = await provider.embed(['text 11'], { kind: 'document' });
  await provider.close();
  expect(vectors[0]?.[15_999]).toBe(Math.fround(15_999 + 0.123456789 + 11));
});

test('the fingerprint changes when the file does', async () => {
  const hashes: unknown[] = [];
  for (const value of [1, 2]) {
    const path = await write('.jsonl', lines({ text: 'a', vector: [value, 0] }), 'same');
    const provider = await open(path);
    hashes.push(provider.model.files['same.jsonl']);
    await provider.close();
  }
  expect(hashes[0]).not.toBe(hashes[1]);
});
