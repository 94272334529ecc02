import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listModels, verifyModels } from '../../../../src/models/list-models.ts';
import { resolveModelFiles } from '../../../../src/models/model-files.ts';
import { sha256 } from '../../../helpers/hub-server.ts';
import { COMMIT, FILES, GRAPH, NAME, pullBed, REPOSITORY } from './pull-bed.ts';

const bed = await pullBed();
const { hub } = bed;
const directory = (): string => join(bed.modelsDir, 'acme', 'small-en');

describe('a pull', () => {
  test('brings the graph and the files of inference, each with its checksum, and nothing else', async () => {
    const pulled = await bed.pull();
    expect(pulled).toMatchObject({
      directory: directory(),
      revision: COMMIT,
      dtype: 'fp32',
      license: 'mit',
      dimensions: 384,
      result: 'downloaded',
      lock: 'none',
    });
    const inside = ['config.json', 'manifest.json', 'modules.json', 'onnx', 'onnx/model.onnx', 'tokenizer.json'];
    expect(await bed.everything()).toEqual(['acme', 'acme/small-en', ...inside.map((name) => `acme/small-en/${name}`)]);
    const files = await resolveModelFiles(NAME, { modelsDir: bed.modelsDir });
    expect(files.hashes).toEqual(pulled.files);
    expect(files.hashes['onnx/model.onnx']).toBe(sha256(GRAPH));
    expect(await listModels(bed.modelsDir)).toContainEqual(
      expect.objectContaining({ name: NAME, revision: COMMIT, license: 'mit', dimensions: 384, bundled: false }),
    );
  });

  test('takes the precision that is asked for, with its weights in files of their own', async () => {
    const weights = { 'onnx/model_fp16.onnx_data': 'one', 'onnx/model_fp16.onnx_data_1': 'two' };
    const others = { 'onnx/model_quantized.onnx': 'int8', 'onnx/model.onnx_data': 'of fp32', 'onnx/other.data': 'x' };
    const files = { ...FILES, 'onnx/model_fp16.onnx': 'half', ...weights, ...others };
    hub.repositories.set(NAME, { ...REPOSITORY, files });
    const pulled = await bed.pull({ dtype: 'fp16' });
    expect(Object.keys(pulled.files).filter((name) => name.startsWith('onnx/'))).toEqual([
      'onnx/model_fp16.onnx',
      'onnx/model_fp16.onnx_data',
      'onnx/model_fp16.onnx_data_1',
    ]);
    const loaded = await resolveModelFiles(NAME, { modelsDir: bed.modelsDir });
    expect(loaded.graphBytes).toBe('half'.length + 'onetwo'.length);
    expect(loaded.hashes).toEqual(pulled.files);
  });

  test('of a second precision keeps the first one and its place as the default', async () => {
    hub.repositories.set(NAME, { ...REPOSITORY, files: { ...FILES, 'onnx/model_int8.onnx': 'int8' } });
    await bed.pull();
    hub.requests.length = 0;
    const second = await bed.pull({ dtype: 'int8' });
    expect(bed.asked().map((path) => path.split('?')[0])).toEqual([
      `/${NAME}/resolve/${COMMIT}/onnx/model_int8.onnx`,
      `/${sha256('int8')}`,
    ]);
    expect(second).toMatchObject({ dtype: 'int8', receivedBytes: 4 });
    const dtypes = [undefined, 'fp32', 'int8'] as const;
    const loaded = dtypes.map((dtype) => resolveModelFiles(NAME, { modelsDir: bed.modelsDir, dtype }));
    expect((await Promise.all(loaded)).map(({ graphName }) => graphName)).toEqual([
      'onnx/model.onnx',
      'onnx/model.onnx',
      'onnx/model_int8.onnx',
    ]);
  });

  test('of what is here asks for no file', async () => {
    await bed.pull();
    hub.requests.length = 0;
    expect(await bed.pull()).toMatchObject({ result: 'present', receivedBytes: 0 });
    expect(bed.asked()).toEqual([]);
    expect(await bed.pull({ revision: COMMIT })).toMatchObject({ result: 'present' });
    expect(hub.requests).toHaveLength(1);
  });

  test('repairs a model that was altered on the disk, and reads only that file again', async () => {
    await bed.pull();
    await writeFile(join(directory(), 'config.json'), '{"hidden_size":385}');
    await expect(resolveModelFiles(NAME, { modelsDir: bed.modelsDir })).rejects.toMatchObject({
      code: 'model_file_altered',
      hint: `Run "reembed model pull ${NAME}": it brings what differs, and nothing else.`,
    });
    hub.requests.length = 0;
    const warnings: unknown[] = [];
    await bed.pull({ onProgress: (event) => event.kind === 'warning' && warnings.push(event.message) });
    expect(bed.asked()).toEqual([`/${NAME}/resolve/${COMMIT}/config.json`]);
    expect(warnings).toEqual([expect.stringMatching(/config\.json has sha256 .*It is downloaded again$/)]);
    expect(await readFile(join(directory(), 'config.json'), 'utf8')).toBe(FILES['config.json']);
  });

  test('exchanges a model for that of a later commit, and leaves no file of the earlier one', async () => {
    await bed.pull();
    const { 'modules.json': _gone, ...rest } = FILES;
    hub.repositories.set(NAME, { commit: 'b'.repeat(40), files: { ...rest, 'tokenizer.json': '{"version":"2.0"}' } });
    const pulled = await bed.pull();
    expect(pulled.revision).toBe('b'.repeat(40));
    expect(pulled.license).toBe('unknown');
    expect(await bed.everything()).not.toContain('acme/small-en/modules.json');
    const { hashes } = await resolveModelFiles(NAME, { modelsDir: bed.modelsDir });
    expect(hashes['tokenizer.json']).toBe(sha256('{"version":"2.0"}'));
  });

  test('takes sizes and checksums from the headers where the list has none', async () => {
    hub.repositories.set(NAME, { ...REPOSITORY, barelyListed: true });
    const { files } = await bed.pull();
    expect(files['onnx/model.onnx']).toBe(sha256(GRAPH));
    expect(files['config.json']).toBe(sha256(FILES['config.json']));
  });

  test('of two precisions at once leaves one whole model, and repeated both', async () => {
    hub.repositories.set(NAME, { ...REPOSITORY, files: { ...FILES, 'onnx/model_int8.onnx': 'int8' } });
    await Promise.all([bed.pull(), bed.pull({ dtype: 'int8' })]);
    await resolveModelFiles(NAME, { modelsDir: bed.modelsDir });
    for (const dtype of ['fp32', 'int8'] as const) {
      await bed.pull({ dtype });
      await resolveModelFiles(NAME, { modelsDir: bed.modelsDir, dtype });
    }
    await resolveModelFiles(NAME, { modelsDir: bed.modelsDir, dtype: 'fp32' });
  });

  test('twice at once leaves one whole model', async () => {
    hub.faults.cutAfter = [100_000, 50_000];
    const both = await Promise.all([bed.pull(), bed.pull()]);
    expect(both.map(({ files }) => files['onnx/model.onnx'])).toEqual([sha256(GRAPH), sha256(GRAPH)]);
    await resolveModelFiles(NAME, { modelsDir: bed.modelsDir });
    expect((await bed.everything()).filter((path) => /incomplete|acme\/\./.test(path))).toEqual([]);
  });
});

describe('nothing leads out of the directory', () => {
  test('names that the server lists are taken only where they are known', async () => {
    const evil = ['../evil.json', '/etc/evil.json', 'onnx/../../evil.onnx', 'C:\\evil.onnx', 'onnx\\model.onnx_data'];
    const links = ['onnx/model.onnx_data/../../../evil', 'onnx/model.onnx_data_x'];
    const listed = Object.fromEntries([...evil, ...links].map((name) => [name, 'evil']));
    hub.repositories.set(NAME, { ...REPOSITORY, files: { ...FILES, ...listed } });
    await bed.pull();
    expect(bed.asked().filter((path) => /evil|data/.test(path))).toEqual([]);
    expect((await bed.everything()).filter((path) => /evil|data/.test(path))).toEqual([]);
  });

  test.each(['acme', join('acme', 'small-en'), '.downloads'])('a symbolic link at %s is refused', async (at) => {
    const elsewhere = join(bed.modelsDir, '..', 'elsewhere');
    await mkdir(elsewhere, { recursive: true });
    await mkdir(join(bed.modelsDir, at, '..'), { recursive: true });
    await symlink(elsewhere, join(bed.modelsDir, at));
    expect(await bed.refusal()).toMatchObject({
      code: 'models_dir_link',
      message: `${join(bed.modelsDir, at)} is a symbolic link, a directory was expected.`,
    });
    expect(hub.requests).toEqual([]);
  });

  test.each(['small-en', '../small-en', 'acme/../x', 'acme/.hidden', 'acme/a/b', 'C:\\acme/x'])(
    'the name %s is refused',
    async (name) => {
      expect(await bed.refusal({ name })).toMatchObject({ code: 'model_name_invalid', name: 'ConfigError' });
    },
  );

  test.each(['..', 'refs/../../x', '-x', ''])('the revision "%s" is refused', async (revision) => {
    expect(await bed.refusal({ revision })).toMatchObject({ code: 'revision_invalid', name: 'ConfigError' });
  });

  test('a manifest that names a file elsewhere is refused', async () => {
    await bed.pull();
    const path = join(directory(), 'manifest.json');
    const manifest = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...manifest, graph: '../other/model.onnx' }));
    await expect(resolveModelFiles(NAME, { modelsDir: bed.modelsDir })).rejects.toMatchObject({
      code: 'model_config_invalid',
      message: expect.stringContaining("graph: expected a file inside the model's directory"),
    });
  });

  test('a directory that somebody else filled is left alone', async () => {
    await mkdir(directory(), { recursive: true });
    await writeFile(join(directory(), 'precious.txt'), 'mine');
    expect(await bed.refusal()).toMatchObject({ code: 'model_directory_foreign' });
    expect(await readFile(join(directory(), 'precious.txt'), 'utf8')).toBe('mine');
    await rm(directory(), { recursive: true });
  });
});

describe('a repository without what is needed', () => {
  test('has no graph: the ways to one are named', async () => {
    const { 'onnx/model.onnx': _graph, ...files } = FILES;
    hub.repositories.set(NAME, { ...REPOSITORY, files });
    const { code, message, hint } = await bed.refusal();
    expect([code, message]).toEqual([
      'onnx_missing',
      expect.stringContaining(`${NAME} has no ONNX graph; looked for onnx/model.onnx`),
    ]);
    expect(hint).toContain('Xenova/small-en');
    expect(hint).toContain(`optimum-cli export onnx --model ${NAME}`);
    expect(bed.asked()).toEqual([]);
  });

  test('has another precision: it is named', async () => {
    expect(await bed.refusal({ dtype: 'int8' })).toMatchObject({
      code: 'dtype_missing',
      message: expect.stringContaining(`${NAME} has no int8 graph, it has fp32`),
      hint: `Run "reembed model pull ${NAME} --dtype fp32".`,
    });
  });

  test('has no tokenizer: nothing is downloaded', async () => {
    const { 'tokenizer.json': _tokenizer, ...files } = FILES;
    hub.repositories.set(NAME, { ...REPOSITORY, files });
    expect(await bed.refusal()).toMatchObject({ code: 'tokenizer_missing' });
    expect(bed.asked()).toEqual([]);
  });
});

test('of all models each is verified in its own precision, and one that is damaged does not hide the others', async () => {
  hub.repositories.set('acme/half', { ...REPOSITORY, files: { ...FILES, 'onnx/model_fp16.onnx': 'half' } });
  await bed.pull();
  const { directory } = await bed.pull({ name: 'acme/half', dtype: 'fp16' });
  await writeFile(join(directory, 'manifest.json'), '{');
  expect(await verifyModels({ modelsDir: bed.modelsDir })).toMatchObject([
    { result: 'match', dtype: 'int8' },
    { name: 'acme/half', result: 'refused', code: 'model_config_invalid', hint: expect.stringContaining('Copy') },
    { name: NAME, result: 'match', dtype: 'fp32' },
  ]);
  expect(await listModels(bed.modelsDir)).toMatchObject([
    { problem: null },
    { name: 'acme/half', dtype: null, problem: expect.stringContaining('manifest.json is not JSON') },
    { name: NAME, problem: null },
  ]);
  expect(await bed.pull({ name: 'acme/half', dtype: 'fp16' })).toMatchObject({
    result: 'downloaded',
    receivedBytes: 0,
  });
  expect(await verifyModels({ modelsDir: bed.modelsDir })).not.toContainEqual(
    expect.objectContaining({ result: 'refused' }),
  );
});
