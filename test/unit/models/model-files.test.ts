import { cp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { resolveModelFiles } from '../../../src/models/model-files.ts';
import { packageRoot } from '../../../src/models/package-root.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const BUNDLED = join(packageRoot(), 'models', 'all-MiniLM-L6-v2');
const directory = await temporaryDirectory();

describe('a model with a manifest', () => {
  const model = join(directory, 'copy');
  const graph = join(model, 'onnx', 'model_int8.onnx');
  beforeEach(async () => {
    await rm(model, { recursive: true, force: true });
    await cp(BUNDLED, model, { recursive: true });
  });

  test('is found by directory, name and published name, with a hash for each file of inference', async () => {
    const byDirectory = await resolveModelFiles(model);
    const byName = await resolveModelFiles('all-MiniLM-L6-v2');
    const published = await resolveModelFiles('sentence-transformers/all-MiniLM-L6-v2');
    expect(byDirectory.name).toBe('sentence-transformers/all-MiniLM-L6-v2');
    expect(byDirectory.dtype).toBe('int8');
    expect(Object.keys(byDirectory.hashes)).toContain('onnx/model_int8.onnx');
    expect(byDirectory.hashes).toEqual(published.hashes);
    expect(byName.graph).toBe(published.graph);
  });

  test('cut short is refused with both sizes', async () => {
    await truncate(graph, 1_000_000);
    await expect(resolveModelFiles(model)).rejects.toMatchObject({
      code: 'model_file_altered',
      message: `${graph} has 1000000 bytes, its manifest says 22792788: the model sentence-transformers/all-MiniLM-L6-v2 was not loaded.`,
      hint: expect.stringContaining('npm ci'),
    });
  });

  test('altered by one bit is refused with both checksums', async () => {
    const bytes = await readFile(graph);
    bytes[12_345] = (bytes[12_345] ?? 0) ^ 1;
    await writeFile(graph, bytes);
    await expect(resolveModelFiles(model)).rejects.toMatchObject({
      code: 'model_file_altered',
      message: expect.stringMatching(/model_int8\.onnx has sha256 [0-9a-f]{64}, its manifest says 34ee93338d0115e4/),
    });
  });

  test('with a file missing is refused by the name of the file', async () => {
    await rm(join(model, 'tokenizer.json'));
    await expect(resolveModelFiles(model)).rejects.toMatchObject({
      message: expect.stringContaining(`${join(model, 'tokenizer.json')} is missing`),
    });
  });

  test('asked for a precision that it lacks, says which it has', async () => {
    await expect(resolveModelFiles(model, { dtype: 'fp32' })).rejects.toMatchObject({
      code: 'dtype_missing',
      message: expect.stringContaining('has no fp32 graph; looked for onnx/model.onnx, model.onnx'),
      hint: expect.stringContaining('EMBEDDING_DTYPE=int8'),
    });
  });

  test('whose manifest is no manifest is refused by the field', async () => {
    await writeFile(join(model, 'manifest.json'), '{"name": "x"}');
    await expect(resolveModelFiles(model)).rejects.toMatchObject({ message: expect.stringMatching(/dimensions/) });
  });
});

test('a model that is nowhere names the ways on', async () => {
  const wanted = resolveModelFiles('BAAI/bge-small-en-v1.5', { modelsDir: directory });
  await expect(wanted).rejects.toMatchObject({
    code: 'model_missing',
    message: `The model BAAI/bge-small-en-v1.5 is neither a directory nor under ${directory}.`,
  });
  const { hint } = await wanted.catch((error) => error);
  expect(hint).toMatch(/^Run "reembed model pull BAAI\/bge-small-en-v1\.5"\. Without a way to the Hub: /);
  expect(hint).toContain(join(directory, 'BAAI', 'bge-small-en-v1.5'));
  expect(hint).toContain('HF_ENDPOINT');
  expect(hint).toContain('sentence-transformers/all-MiniLM-L6-v2');
  expect(hint).toContain('hash/384');
});

test('a model is found by name under the models directory', async () => {
  await cp(BUNDLED, join(directory, 'acme', 'small'), { recursive: true });
  const files = await resolveModelFiles('acme/small', { modelsDir: directory });
  expect(files.directory).toBe(join(directory, 'acme', 'small'));
});
