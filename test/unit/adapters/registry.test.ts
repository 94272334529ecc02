import { fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { openRegistry, type Registry } from '../../../src/adapters/registry.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../src/adapters/safetensors.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';
import { affine, measures, newEntry, PROJECTION, space } from './sample-projection.ts';

const ID = 'legacy-6--all-minilm-l6-v2-4--ridge-1000';
const root = await temporaryDirectory();
let count = 0;
let dir = '';
let registry: Registry;
beforeEach(() => {
  dir = join(root, String(count++), 'projections');
  registry = openRegistry(dir);
});

const document = (): Promise<string> => readFile(join(dir, 'registry.json'), 'utf8');

/** The registry's document with a change, written back. */
async function changeDocument(change: (text: string) => string): Promise<void> {
  await writeFile(join(dir, 'registry.json'), change(await document()));
}

describe('a registry of projections', () => {
  test('gives back what was added to it, as it was, and forgets what is removed', async () => {
    expect(await registry.list()).toEqual([]);
    const hidden = {
      size: 3,
      weight: new Float32Array(18).fill(0.5),
      bias: new Float32Array(3),
      output: new Float32Array(12),
    };
    const layers = [affine(6, 4, { hidden, normalize: true }), affine(4, 4, { weight: undefined, bias: undefined })];
    const given = newEntry({ kind: 'residual-mlp', direction: 'query' });
    const entry = await registry.add(given, { layers });
    expect(entry.id).toBe('legacy-6--all-minilm-l6-v2-4--query-residual-mlp-1000');
    expect(await registry.list()).toEqual([{ ...entry }]);
    const loaded = await openRegistry(dir).load(entry.id);
    expect(loaded.projection).toEqual({ layers });
    const { id, createdAt, sha256 } = entry;
    expect(loaded.entry).toEqual({ ...given, id, createdAt, sha256, file: `${id}.safetensors` });
    await registry.remove(id);
    expect(await readdir(dir)).toEqual(['registry.json']);
    await expect(registry.get(id)).rejects.toMatchObject({ code: 'projection_unknown' });
  });

  test('loses nothing when two processes add at once, and names each anew', async () => {
    const child = fork(join(import.meta.dirname, 'add-child.ts'), [dir, '3'], { execArgv: ['--import=tsx'] });
    const ended = once(child, 'exit');
    await once(child, 'message');
    for (let i = 0; i < 3; i++) await registry.add(newEntry(), PROJECTION);
    expect(await ended).toEqual([0, null]);
    const ids = (await registry.list()).map(({ id }) => id);
    expect(ids).toEqual([ID, ...[2, 3, 4, 5, 6].map((number) => `${ID}-${number}`)]);
    for (const id of ids) expect((await registry.load(id)).entry.id).toBe(id);
    expect((await readdir(dir)).length).toBe(7);
  });

  test('is whole after a kill between the file and the registry, and while the turn was taken', async () => {
    const first = await registry.add(newEntry(), PROJECTION);
    const before = await document();
    const second = await registry.add(newEntry({ metrics: measures(0.5) }), PROJECTION);
    // What a kill leaves: the file is in place, a draft beside it, the registry as it was, and the turn of a process that is gone.
    await writeFile(join(dir, 'registry.json'), before);
    await writeFile(join(dir, `${ID}-3.safetensors.draft.part`), 'half a file');
    const turn = join(dir, 'registry.json.writing');
    await mkdir(turn);
    await utimes(turn, 0, 0);
    expect(await registry.list()).toEqual([first]);
    const again = await registry.add(newEntry({ metrics: measures(0.7) }), PROJECTION);
    expect(again.id).toBe(second.id);
    expect((await registry.load(again.id)).entry.metrics).toEqual(measures(0.7));
  });

  test('refuses a file of which one byte is another, by both sums', async () => {
    const { sha256 } = await registry.add(newEntry(), PROJECTION);
    const file = join(dir, `${ID}.safetensors`);
    const bytes = await readFile(file);
    bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
    await writeFile(file, bytes);
    const refused = { code: 'projection_changed', message: expect.stringContaining(`the registry says ${sha256}`) };
    await expect(registry.load(ID)).rejects.toMatchObject(refused);
    await expect(registry.exportTo(ID, join(root, 'changed'))).rejects.toMatchObject(refused);
    // Elsewhere there is no registry to compare with: the file's own sum tells.
    await expect(openRegistry(join(root, 'elsewhere')).importFrom(file)).rejects.toMatchObject({
      code: 'projection_changed',
    });
    await rm(file);
    await expect(registry.load(ID)).rejects.toMatchObject({ code: 'projection_missing' });
  });

  test('carries a projection elsewhere in one file, once', async () => {
    const entry = await registry.add(newEntry(), PROJECTION);
    const file = await registry.exportTo(ID, root);
    expect(file).toBe(join(root, entry.file));
    await expect(registry.exportTo(ID, root)).rejects.toMatchObject({ code: 'export_exists' });
    const other = openRegistry(join(root, 'other'));
    expect(await other.importFrom(file)).toEqual({ entry, added: true });
    expect((await other.load(ID)).projection).toEqual(PROJECTION);
    expect(await other.importFrom(file)).toEqual({ entry, added: false });
    // Another one of the same name takes the next number, and is known under that the next time.
    const third = openRegistry(join(root, 'third'));
    await third.add(newEntry({ seed: 2 }), PROJECTION);
    expect(await third.importFrom(file)).toMatchObject({ entry: { id: `${ID}-2`, seed: 1 }, added: true });
    expect(await third.importFrom(file)).toMatchObject({ entry: { id: `${ID}-2` }, added: false });
  });

  test.each([
    ['of a newer version', '"version": 1', '"version": 2', 'registry_newer', 'is of version 2, this reembed knows 1'],
    ['cut off', /\]\s*\}\s*$/, '', 'registry_invalid', 'is no registry'],
    [
      'with a way out of its folder',
      `"${ID}.safetensors"`,
      '"../secret.safetensors"',
      'registry_invalid',
      'projections.0.file',
    ],
    ['with an absolute path', `"${ID}.safetensors"`, '"/etc/passwd"', 'registry_invalid', 'projections.0.file'],
    ['with a hidden id', `"${ID}"`, '".hidden"', 'registry_invalid', 'projections.0.id'],
    ['with an id that is a path', `"${ID}"`, '"a/../../b"', 'registry_invalid', 'projections.0.id'],
  ])('refuses a document %s', async (_, from, to, code, message) => {
    await registry.add(newEntry(), PROJECTION);
    await changeDocument((text) => text.replace(from, to));
    const refused = { code, message: expect.stringContaining(message) };
    await expect(registry.list()).rejects.toMatchObject(refused);
    await expect(registry.add(newEntry(), PROJECTION)).rejects.toMatchObject(refused);
  });

  test('registers nothing whose layers do not lead from source to target in finite numbers', async () => {
    const wrong: readonly [string, Parameters<Registry['add']>][] = [
      ['layer 0 takes 6 dimensions, what is before it gives 5', [newEntry({ source: space('a', 5) }), PROJECTION]],
      ['its layers give 4 dimensions, its target has 3', [newEntry({ target: space('a', 3) }), PROJECTION]],
      ['its layers give 6 dimensions, its target has 4', [newEntry(), { layers: [] }]],
      [
        'layers.0.bias has 2 values, 4 were expected',
        [newEntry(), { layers: [affine(6, 4, { bias: new Float32Array(2) })] }],
      ],
      [
        'value 1 of layers.0.bias is NaN',
        [newEntry(), { layers: [affine(6, 4, { bias: Float32Array.of(0, Number.NaN, 0, 0) })] }],
      ],
      ['expected 1 to 80 of a-z', [newEntry({ id: '../up' }), PROJECTION]],
      ['metrics.mse', [newEntry({ metrics: { ...measures(0.9), mse: Number.NaN } }), PROJECTION]],
    ];
    for (const [message, [entry, projection]] of wrong) {
      const refused = { code: 'projection_invalid', message: expect.stringContaining(message) };
      await expect(registry.add(entry, projection)).rejects.toMatchObject(refused);
    }
    expect(await registry.list()).toEqual([]);
  });

  test('imports nothing that only looks like a projection', async () => {
    await registry.add(newEntry(), PROJECTION);
    const source = join(dir, `${ID}.safetensors`);
    const { tensors, metadata } = decodeSafetensors(await readFile(source), 'x');
    const target = join(root, 'looks-like.safetensors');
    const importing = async (file: Buffer): Promise<unknown> => {
      await writeFile(target, file);
      return openRegistry(join(root, 'empty')).importFrom(target);
    };
    const foreign = encodeSafetensors({ tensors, metadata: {} });
    await expect(importing(foreign)).rejects.toMatchObject({ code: 'projection_invalid' });
    const later = encodeSafetensors({ tensors, metadata: { ...metadata, version: '2' } });
    await expect(importing(later)).rejects.toMatchObject({ code: 'projection_newer' });
    const better = (metadata.entry ?? '').replace('"training":1000', '"training":9000');
    const embellished = encodeSafetensors({ tensors, metadata: { ...metadata, entry: better } });
    await expect(importing(embellished)).rejects.toMatchObject({ code: 'projection_changed' });
    await expect(openRegistry(join(root, 'empty')).importFrom(dir)).rejects.toMatchObject({
      code: 'projection_missing',
    });
    await copyFile(source, target);
    expect(await openRegistry(join(root, 'empty')).importFrom(target)).toMatchObject({ added: true });
  });
});
