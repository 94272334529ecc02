import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRegistry } from '../../../src/adapters/registry.ts';
import { defineMigration } from '../../../src/config/define-migration.ts';
import { modelFromEnv } from '../../../src/config/model-from-env.ts';
import { loadRuntimeSettings } from '../../../src/config/runtime.ts';
import type { ModelReference } from '../../../src/config/types.ts';
import { createProvider } from '../../../src/providers/create-provider.ts';
import { providerOptions } from '../../../src/providers/provider-options.ts';
import { affine, newEntry, space } from '../adapters/sample-projection.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

const root = await temporaryDirectory();
const dir = join(root, 'projections');
const real: ModelReference = { provider: 'hash', model: 'hash/16', dimensions: 16 };
const hash = await createProvider(real);
const env = { EMBEDDING_PROVIDER: 'adapted', EMBEDDING_MODEL: 'hash/16', REEMBED_PROJECTIONS_DIR: dir };
const open = (): ReturnType<typeof createProvider> =>
  createProvider(modelFromEnv(env), providerOptions(loadRuntimeSettings(env)));

const target = { fingerprint: { ...hash.model }, reference: real, dimensions: 16 };
const layers = [affine(6, 16, { normalize: true })];

test('without a projection to the model nothing is opened, and the command that trains one is named', async () => {
  await expect(open()).rejects.toMatchObject({
    code: 'no_projection',
    message: `No pre-trained projection found for any model → 16D (to hash/16) in ${dir}.`,
    hint: expect.stringContaining('reembed adapter train'),
  });
});

test('queries are embedded by the model that the projection maps to, which has to be the one that it was trained for', async () => {
  const registry = openRegistry(dir);
  const { id } = await registry.add(newEntry({ target }), { layers });
  const provider = await open();
  const texts = ['a query of some words'];
  expect(provider.model).toEqual(hash.model);
  expect(await provider.embed(texts, { kind: 'query' })).toEqual(await hash.embed(texts, { kind: 'query' }));
  await registry.remove(id);
  const changed = { ...target, fingerprint: { ...hash.model, pooling: 'cls', revision: '1', normalize: false } };
  await registry.add(newEntry({ target: changed }), { layers });
  await expect(open()).rejects.toMatchObject({
    code: 'model_differs',
    message: `hash/16 is not the model that the projection ${id} maps to any more: normalize false against true.`,
  });
});

test('a projection that is named has to map to the model', async () => {
  const { id } = await openRegistry(dir).add(newEntry({ target: space('other', 16) }), { layers });
  const named = createProvider(modelFromEnv(env), { adapters: { dir, use: id } });
  await expect(named).rejects.toMatchObject({
    code: 'projection_misfit',
    message: expect.stringContaining('other against hash/16'),
  });
});

test('a migration may name it for the new model, never for the old one', () => {
  const migration = {
    id: 'm',
    table: 't',
    text: 'x',
    column: 'e',
    provider: 'adapted',
    model: 'hash/16',
    dimensions: 16,
  } as const;
  expect(defineMigration(migration)).toMatchObject({ provider: 'adapted', model: 'hash/16' });
  const from = { provider: 'adapted', model: 'legacy', dimensions: 6 } as const;
  expect(() => defineMigration({ ...migration, from })).toThrow(
    "from.provider is 'adapted', expected the provider of the model",
  );
});
