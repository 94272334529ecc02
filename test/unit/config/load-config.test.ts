import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LoadConfigOptions, loadConfig } from '../../../src/config/load-config.ts';

const root = join(import.meta.dirname, '../../..');
const one = { id: 'one', table: 't', text: 'body', column: 'v', model: 'hash/8', dimensions: 8 };
const two = { ...one, id: 'two', table: 'u' };

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'reembed-config-'));
});
afterEach(() => rm(cwd, { recursive: true }));

async function load(exported: unknown, options: LoadConfigOptions = {}) {
  await writeFile(join(cwd, 'reembed.config.mjs'), `export default ${JSON.stringify(exported) ?? 'undefined'};`);
  return loadConfig({ cwd, env: {}, ...options });
}

describe('loadConfig', () => {
  test('reads this repository as its reference case', async () => {
    const { selected, file } = await loadConfig({ cwd: root, env: {} });
    expect(selected.id).toBe('segments-bge-small');
    expect(file).toBe(join(root, 'reembed.config.ts'));
  });

  test('picks the only migration, or the one that is asked for', async () => {
    expect((await load(one)).selected.id).toBe('one');
    await rm(join(cwd, 'reembed.config.mjs'));
    await writeFile(join(cwd, 'own.mjs'), `export default ${JSON.stringify([one, two])};`);
    const options = { cwd, env: {}, file: 'own.mjs', migrationId: 'two' };
    const { definitions, selected } = await loadConfig(options);
    expect(definitions.map((definition) => definition.id)).toEqual(['one', 'two']);
    expect(selected.table.name).toBe('u');
  });

  test('lists the ids when none or an unknown one is chosen', async () => {
    await expect(load([one, two])).rejects.toMatchObject({
      code: 'migration_not_chosen',
      message: 'reembed.config.mjs holds 2 migrations and none was chosen: one, two.',
    });
    await expect(load([one, two], { migrationId: 'three' })).rejects.toMatchObject({
      code: 'migration_unknown',
      message: 'reembed.config.mjs holds no migration "three"; it holds one, two.',
    });
  });

  test('refuses two migrations of one id, and two that fill one column', async () => {
    await expect(load([one, { ...one, column: 'w' }])).rejects.toThrow('id is "one" twice');
  });

  test('refuses two migrations that fill one column', async () => {
    await expect(load([one, { ...one, id: 'two' }])).rejects.toThrow('target is "v_8" in "one" and in "two"');
  });

  test('names the file where there is none', async () => {
    await expect(loadConfig({ cwd, env: {} })).rejects.toMatchObject({ code: 'config_missing' });
    await expect(loadConfig({ cwd, env: {}, file: 'other.mjs' })).rejects.toThrow(join(cwd, 'other.mjs'));
  });

  test('refuses a file without a migration, and one that fails', async () => {
    await expect(load([])).rejects.toThrow('reembed.config.mjs exports no migration by default.');
    await writeFile(join(cwd, 'broken.mjs'), 'export default {');
    await expect(loadConfig({ cwd, env: {}, file: 'broken.mjs' })).rejects.toMatchObject({ code: 'config_unreadable' });
  });
});
