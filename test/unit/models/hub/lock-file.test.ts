import { access, mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ModelError } from '../../../../src/errors.ts';
import { verifyModel } from '../../../../src/models/list-models.ts';
import { resolveModelFiles } from '../../../../src/models/model-files.ts';
import { sha256 } from '../../../helpers/hub-server.ts';
import { COMMIT, FILES, GRAPH, LATER, NAME, pullBed, REPOSITORY } from './pull-bed.ts';

const bed = await pullBed();
const { hub } = bed;
let modelLock = '';
beforeEach(() => {
  modelLock = join(bed.modelsDir, '..', `${bed.modelsDir.split('-').at(-1)}.lock.json`);
});

const locks = async (): Promise<{ readonly models: object }> => JSON.parse(await readFile(modelLock, 'utf8'));
/** The repository goes on: another tokenizer and another graph on `main`. */
const moveOn = (): unknown =>
  hub.repositories.set(NAME, {
    ...REPOSITORY,
    commit: LATER,
    earlier: REPOSITORY,
    files: { ...FILES, 'tokenizer.json': '{"version":"2.0"}', 'onnx/model.onnx': 'another graph' },
  });

describe('the lock file', () => {
  test('holds the commit and the checksum of each file, by name and precision', async () => {
    hub.repositories.set(NAME, { ...REPOSITORY, files: { ...FILES, 'onnx/model_int8.onnx': 'int8' } });
    expect(await bed.pull({ modelLock })).toMatchObject({ lock: 'written' });
    expect(await bed.pull({ modelLock, dtype: 'int8' })).toMatchObject({ lock: 'written' });
    const small = {
      'config.json': sha256(FILES['config.json']),
      'modules.json': sha256(FILES['modules.json']),
      'tokenizer.json': sha256(FILES['tokenizer.json']),
    };
    expect(await locks()).toEqual({
      version: 1,
      models: {
        [NAME]: {
          fp32: { revision: COMMIT, files: { ...small, 'onnx/model.onnx': sha256(GRAPH) } },
          int8: { revision: COMMIT, files: { ...small, 'onnx/model_int8.onnx': sha256('int8') } },
        },
      },
    });
  });

  test('makes the next pull, on another machine too, take its revision although main went on', async () => {
    await bed.pull({ modelLock });
    moveOn();
    const modelsDir = join(bed.modelsDir, 'other-machine');
    expect(await bed.pull({ modelLock, modelsDir })).toMatchObject({ revision: COMMIT, lock: 'matches' });
    const { hashes } = await resolveModelFiles(NAME, { modelsDir, modelLock });
    expect(hashes['onnx/model.onnx']).toBe(sha256(GRAPH));
  });

  test('chooses the precision where nobody asks for one', async () => {
    hub.repositories.set(NAME, { ...REPOSITORY, files: { ...FILES, 'onnx/model_int8.onnx': 'int8' } });
    await bed.pull({ modelLock, dtype: 'int8' });
    expect(await bed.pull({ modelLock, modelsDir: join(bed.modelsDir, 'other') })).toMatchObject({ dtype: 'int8' });
  });

  test('keeps what pulls at the same time lock, and goes on after one that was killed while it wrote', async () => {
    const names = ['acme/a', 'acme/b', 'acme/c', 'acme/d', 'acme/e'];
    for (const name of names) hub.repositories.set(name, REPOSITORY);
    const guard = `${modelLock}.writing`;
    await mkdir(guard);
    await utimes(guard, new Date(0), new Date(0));
    await Promise.all(names.map((name) => bed.pull({ name, modelLock })));
    expect(Object.keys((await locks()).models)).toEqual(names);
    await expect(access(guard)).rejects.toThrow();
  });

  test('that is damaged is refused by the field, and nothing is downloaded', async () => {
    await writeFile(modelLock, '{"version":2,"models":{}}');
    expect(await bed.refusal({ modelLock })).toMatchObject({
      code: 'model_lock_invalid',
      message: expect.stringContaining(`${modelLock} is no lock file of models: version`),
    });
    expect(hub.requests).toEqual([]);
  });
});

describe('a difference from the lock is refused', () => {
  test('before a large file is downloaded, and the model that is here stays', async () => {
    await bed.pull({ modelLock });
    moveOn();
    hub.requests.length = 0;
    const before = await locks();
    const refusal = await bed.refusal({ modelLock, revision: 'main' });
    expect(refusal).toMatchObject({
      code: 'model_lock_differs',
      message: `onnx/model.onnx of ${NAME} (fp32) has sha256 ${sha256('another graph')}, ${modelLock} says ${sha256(GRAPH)}.`,
      hint: expect.stringContaining(`"reembed model pull ${NAME} --dtype fp32 --update-lock"`),
    });
    expect(bed.asked()).toEqual([]);
    expect(await locks()).toEqual(before);
    expect((await resolveModelFiles(NAME, { modelsDir: bed.modelsDir, modelLock })).manifest?.revision).toBe(COMMIT);
  });

  test('of a small file before anything is put in place', async () => {
    await bed.pull({ modelLock });
    hub.repositories.set(NAME, { ...REPOSITORY, commit: LATER, files: { ...FILES, 'modules.json': '[{}]' } });
    const modelsDir = join(bed.modelsDir, 'other');
    expect(await bed.refusal({ modelLock, modelsDir, revision: 'main' })).toMatchObject({
      code: 'model_lock_differs',
      message: expect.stringContaining('modules.json'),
    });
    await expect(resolveModelFiles(NAME, { modelsDir })).rejects.toMatchObject({ code: 'model_missing' });
  });

  test('unless it is accepted: then the new files are locked', async () => {
    await bed.pull({ modelLock });
    moveOn();
    expect(await bed.pull({ modelLock, updateLock: true })).toMatchObject({ revision: LATER, lock: 'updated' });
    expect(await locks()).toMatchObject({ models: { [NAME]: { fp32: { revision: LATER } } } });
    expect(await bed.pull({ modelLock })).toMatchObject({ lock: 'matches', result: 'present' });
  });

  test.each([
    ['other content', 'modules.json', '[{}]', /modules\.json of .* has sha256 [0-9a-f]{64}, .* says [0-9a-f]{64}\.$/],
    ['a file more', 'sentence_bert_config.json', '{}', /sentence_bert_config\.json .* has no such file\.$/],
    ['a file less', 'modules.json', undefined, /modules\.json of .* is missing, .* says [0-9a-f]{64}\.$/],
  ])('where a model is loaded that was copied by hand with %s', async (_, file, content, message) => {
    await bed.pull({ modelLock });
    const directory = join(bed.modelsDir, 'acme', 'small-en');
    // Without a manifest: only the lock knows how it should be.
    await rm(join(directory, 'manifest.json'));
    await resolveModelFiles(NAME, { modelsDir: bed.modelsDir, modelLock });
    if (content === undefined) await rm(join(directory, file));
    else await writeFile(join(directory, file), content);
    const refusal = await resolveModelFiles(NAME, { modelsDir: bed.modelsDir, modelLock }).catch(
      (error: ModelError) => error,
    );
    expect(refusal).toMatchObject({ code: 'model_lock_differs', message: expect.stringMatching(message) });
    await expect(verifyModel(NAME, { modelsDir: bed.modelsDir, modelLock })).rejects.toMatchObject({
      code: 'model_lock_differs',
    });
  });

  test('also where a whole model with its own manifest is another one: a pull brings the locked one back', async () => {
    await bed.pull({ modelLock });
    moveOn();
    await bed.pull();
    await expect(resolveModelFiles(NAME, { modelsDir: bed.modelsDir, modelLock })).rejects.toMatchObject({
      code: 'model_lock_differs',
    });
    expect(await bed.pull({ modelLock })).toMatchObject({ revision: COMMIT, lock: 'matches' });
    await resolveModelFiles(NAME, { modelsDir: bed.modelsDir, modelLock });
  });

  test('also where the manifest was rewritten with the file: a pull brings that file back', async () => {
    await bed.pull({ modelLock });
    const directory = join(bed.modelsDir, 'acme', 'small-en');
    const manifest = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8'));
    manifest.files['modules.json'] = { bytes: 4, sha256: sha256('[{}]') };
    await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
    await writeFile(join(directory, 'modules.json'), '[{}]');
    await expect(verifyModel(NAME, { modelsDir: bed.modelsDir, modelLock })).rejects.toMatchObject({
      code: 'model_lock_differs',
    });
    expect(await bed.pull({ modelLock })).toMatchObject({ lock: 'matches', receivedBytes: 2 });
    expect(await readFile(join(directory, 'modules.json'), 'utf8')).toBe('[]');
  });

  test('but not for a model that it does not name', async () => {
    await bed.pull();
    await writeFile(modelLock, '{"version":1,"models":{}}');
    const verified = await verifyModel(NAME, { modelsDir: bed.modelsDir, modelLock });
    expect(verified).toMatchObject({ result: 'match', locked: false });
    expect(await bed.pull({ modelLock })).toMatchObject({ lock: 'written', result: 'present' });
    expect(await verifyModel(NAME, { modelsDir: bed.modelsDir, modelLock })).toMatchObject({ locked: true });
  });
});
