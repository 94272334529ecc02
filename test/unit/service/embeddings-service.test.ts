import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadRuntimeSettings } from '../../../src/config/runtime.ts';
import { providerOptions } from '../../../src/providers/provider-options.ts';
import { EmbeddingsService } from '../../../src/service/embeddings-service.ts';
import { cosine } from '../../../src/vector/math.ts';
import { goldenTexts } from '../models/golden.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

const bundled = {
  EMBEDDING_MODEL: 'sentence-transformers/all-MiniLM-L6-v2',
  EMBEDDING_DIMENSIONS: '384',
  EMBEDDING_DEVICE: 'cpu',
  EMBEDDING_THREADS: '1',
};

test('encodes with the model of the environment, in order, and says where it runs', async () => {
  const notices: string[] = [];
  const service = await EmbeddingsService.initFromEnv({ env: bundled, onNotice: (message) => notices.push(message) });
  const golden = goldenTexts();
  const vectors = await service.encodeTexts(
    golden.map(({ text }) => text),
    { batchSize: 1 },
  );
  const health = await service.healthCheck();
  await service.close();
  expect(service.device).toBe('cpu (1 thread)');
  expect(notices).toEqual(['sentence-transformers/all-MiniLM-L6-v2 (int8) runs on cpu, 1 thread']);
  expect(health).toMatchObject({ ok: true, device: 'cpu (1 thread)', dimensions: 384 });
  expect(vectors).toHaveLength(golden.length);
  // One text a batch: nothing else in it moves the int8 activations, so the stated cosines hold.
  for (const [index, { embedding, int8Cosine }] of golden.entries()) {
    const similarity = cosine(vectors[index] ?? new Float32Array(), embedding);
    expect(Math.abs(similarity - int8Cosine)).toBeLessThan(0.005);
  }
});

test('a model that is not there names the ways on', async () => {
  const env = { REEMBED_MODELS_DIR: '/nonexistent' };
  await expect(EmbeddingsService.initFromEnv({ env })).rejects.toMatchObject({
    code: 'model_missing',
    message: 'The model BAAI/bge-small-en-v1.5 is neither a directory nor under /nonexistent.',
  });
});

test('a model whose files are not those of the lock file is not loaded', async () => {
  const directory = await temporaryDirectory();
  const name = 'sentence-transformers/all-MiniLM-L6-v2';
  const entry = { revision: null, files: { 'tokenizer.json': '0'.repeat(64) } };
  await writeFile(
    join(directory, 'reembed.lock.json'),
    JSON.stringify({ version: 1, models: { [name]: { int8: entry } } }),
  );
  // As a migration and the CLI hand their settings on.
  const options = providerOptions(loadRuntimeSettings({}, directory));
  const model = { provider: 'local', model: name, dimensions: 384 } as const;
  await expect(EmbeddingsService.init({ model, ...options })).rejects.toMatchObject({
    code: 'model_lock_differs',
    message: expect.stringMatching(
      /^tokenizer\.json of .* \(int8\) has sha256 be50c362.*reembed\.lock\.json says 0{64}\.$/,
    ),
  });
});

test('hash/<dimensions> needs no other variable', async () => {
  const service = await EmbeddingsService.initFromEnv({ env: { EMBEDDING_MODEL: 'hash/64' } });
  expect((await service.encodeTexts(['a']))[0]).toHaveLength(64);
  await service.close();
});

test('a service is not asked for a model that nobody named', async () => {
  const env = { EMBEDDING_PROVIDER: 'OpenAI', OPENAI_API_KEY: 'sk-key' };
  await expect(EmbeddingsService.initFromEnv({ env })).rejects.toMatchObject({
    code: 'config_invalid',
    message:
      'The environment has one problem:\n  EMBEDDING_MODEL is missing, expected a model of the provider openai, e.g. text-embedding-3-small',
    hint: 'Correct the variables; see docs/providers/openai.md.',
  });
  const named = await EmbeddingsService.initFromEnv({ env: { ...env, EMBEDDING_MODEL: 'text-embedding-3-small' } });
  expect(named.model).toMatchObject({ provider: 'openai', name: 'text-embedding-3-small', dimensions: 1536 });
  await named.close();
});

test('wrong variables are named together', async () => {
  const env = { EMBEDDING_DIMENSIONS: 'many', EMBEDDING_PROVIDER: 'magic' };
  const error = await EmbeddingsService.initFromEnv({ env }).catch((reason) => reason);
  expect(error).toMatchObject({ code: 'config_invalid' });
  expect(error.message).toMatch(/EMBEDDING_DIMENSIONS/);
  expect(error.message).toMatch(/EMBEDDING_PROVIDER/);
});

test('a health check tells every failure and never throws: here of a service that was closed', async () => {
  const service = await EmbeddingsService.initFromEnv({ env: bundled });
  await service.close();
  expect(await service.healthCheck()).toMatchObject({
    ok: false,
    dimensions: 384,
    message: expect.stringMatching(/closed/),
  });
});
