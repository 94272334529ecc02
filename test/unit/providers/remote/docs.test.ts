import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { modelFromEnv } from '../../../../src/config/model-from-env.ts';
import { PROVIDERS } from '../../../../src/config/provider-names.ts';
import { loadRuntimeSettings, runtimeVariables } from '../../../../src/config/runtime.ts';
import { createProvider } from '../../../../src/providers/create-provider.ts';
import { teiUrl } from '../../../../src/providers/remote/tei.ts';

const PAGES = new URL('../../../../docs/providers/', import.meta.url);
const pages = readdirSync(PAGES).map((name) => ({ name, text: readFileSync(new URL(name, PAGES), 'utf8') }));

const examples = pages.flatMap(({ name, text }) =>
  [...text.matchAll(/```env\n([\s\S]*?)```/g)].map(([, block = ''], i) => ({
    page: `${name}, ${i + 1}`,
    env: Object.fromEntries(
      block
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/, 2)),
    ) as Record<string, string>,
  })),
);

test('every provider that is asked over the network has a page with a .env', () => {
  const remote = PROVIDERS.filter((name) => !['local', 'hash', 'file', 'adapted'].includes(name));
  expect(pages.map(({ name }) => name).toSorted()).toEqual(remote.map((name) => `${name}.md`).toSorted());
  for (const name of remote) expect(examples.map(({ env }) => env.EMBEDDING_PROVIDER)).toContain(name);
});

test.each(examples)('the .env of $page is read and opens its provider', async ({ page, env }) => {
  const model = modelFromEnv(env);
  expect(page).toContain(model.provider);
  const { remote } = loadRuntimeSettings(env);
  const known = new Set([...runtimeVariables, 'EMBEDDING_PROVIDER', 'EMBEDDING_MODEL', 'EMBEDDING_DIMENSIONS']);
  expect(Object.keys(env).filter((name) => !known.has(name))).toEqual([]);
  if (model.provider === 'tei') {
    // It would be asked when it is opened.
    expect(teiUrl(remote, '/info').href).toMatch(/^http:\/\/[a-z]+(:8080)?\/info$/);
    return;
  }
  const provider = await createProvider(model, { remote });
  expect(provider.model).toMatchObject({ name: env.EMBEDDING_MODEL, dimensions: Number(env.EMBEDDING_DIMENSIONS) });
  await provider.close();
});
