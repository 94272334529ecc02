import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chooseBenchModel } from '../../../src/bench/choose-model.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

const BUNDLED = 'sentence-transformers/all-MiniLM-L6-v2';
const directory = await temporaryDirectory();
const modelsDir = join(directory, 'models');

async function projectWith(name: string, model: string, dimensions: number): Promise<string> {
  const cwd = join(directory, name);
  await mkdir(cwd);
  const migration = { id: 'first', table: 'a', text: 'text', column: 'embedding', model, dimensions };
  await writeFile(join(cwd, 'reembed.config.mjs'), `export default ${JSON.stringify(migration)};`);
  return cwd;
}

test('the configured model is measured where it is on this machine', async () => {
  const cwd = await projectWith('here', BUNDLED, 384);
  expect(await chooseBenchModel({ cwd, modelsDir })).toEqual({ model: BUNDLED, dimensions: 384, note: undefined });
});

test.each([
  ['missing', 'BAAI/bge-small-en-v1.5', 384, 'is not on this machine'],
  ['hashed', 'hash/8', 8, 'is of the provider hash, which runs no model'],
])('a configured model that is %s gives way to the bundled one, by name', async (name, model, dimensions, reason) => {
  const chosen = await chooseBenchModel({ cwd: await projectWith(name, model, dimensions), modelsDir });
  expect(chosen).toMatchObject({ model: BUNDLED, dimensions: 384 });
  expect(chosen.note).toContain(`${model} (of reembed.config.mjs) ${reason}: the bundled ${BUNDLED} is measured`);
});

test('a configured model whose files are broken is an error, not replaced', async () => {
  const model = join(directory, 'broken');
  await mkdir(model);
  const cwd = await projectWith('with-broken', model, 384);
  await expect(chooseBenchModel({ cwd, modelsDir })).rejects.toMatchObject({ code: 'dtype_missing' });
});

test('a model that is named is taken or refused, never replaced', async () => {
  const named = await chooseBenchModel({ cwd: directory, model: 'no/such-model', dimensions: 8 });
  expect(named).toEqual({ model: 'no/such-model', dimensions: 8, note: undefined });
  const refusal = chooseBenchModel({ cwd: directory, model: 'hash/384' });
  await expect(refusal).rejects.toMatchObject({ name: 'ConfigError', code: 'model_not_local' });
});
