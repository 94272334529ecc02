import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { InterruptedError } from '../../../../src/errors.ts';
import { downloadFile } from '../../../../src/models/hub/download-file.ts';
import { requestHub } from '../../../../src/models/hub/hub-request.ts';
import type { OnProgress } from '../../../../src/progress.ts';
import { sha256 } from '../../../helpers/hub-server.ts';
import { COMMIT, FILES, GRAPH, NAME, pullBed, REPOSITORY } from './pull-bed.ts';

const bed = await pullBed();
const { hub } = bed;
const part = `onnx__model.onnx.${sha256(GRAPH)}.incomplete`;
const downloads = (): string => join(bed.modelsDir, '.downloads', 'acme', 'small-en');
const ranges = (): (string | undefined)[] =>
  hub.requests.filter(({ server }) => server === 'cdn').map(({ range }) => range);

/** Stops a pull when so many bytes of the graph are here, as Ctrl-C does. */
async function interruptedPull(after = 1): Promise<void> {
  const controller = new AbortController();
  hub.faults.hangAfter = 120_000;
  const error = await bed.refusal({
    signal: controller.signal,
    onProgress: (event) => {
      if (event.kind === 'download' && event.file === 'onnx/model.onnx' && event.done > after) {
        controller.abort(new InterruptedError('interrupted', 'Stopped.'));
      }
    },
  });
  expect(error).toBeInstanceOf(InterruptedError);
  hub.faults.hangAfter = undefined;
  hub.requests.length = 0;
}

async function partSize(): Promise<number> {
  return (await readFile(join(downloads(), part))).length;
}

describe('a lost connection', () => {
  test('is taken up again where it broke off, as often as it takes', async () => {
    hub.faults.cutAfter = [70_000, 70_000, 0, 70_000, 0, 0, 0, 0];
    const { files, receivedBytes } = await bed.pull();
    expect(files['onnx/model.onnx']).toBe(sha256(GRAPH));
    const starts = ranges().map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0));
    expect(starts[0]).toBe(0);
    expect(starts.at(-1)).toBeGreaterThan(100_000);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    const small = ['config.json', 'modules.json', 'tokenizer.json'] as const;
    expect(receivedBytes).toBe(GRAPH.length + small.reduce((sum, name) => sum + FILES[name].length, 0));
  });

  test('that never brings a byte ends in an error that keeps the part', async () => {
    hub.faults.cutAfter = [90_000, ...new Array<number>(20).fill(0)];
    const warnings: string[] = [];
    const { code, hint } = await bed.refusal({
      onProgress: (event) => event.kind === 'warning' && warnings.push(event.message),
    });
    expect([code, hint]).toEqual(['hub_unreachable', expect.stringContaining('run the same command again')]);
    expect(warnings[0]).toMatch(/^onnx\/model\.onnx: localhost:\d+ could not be asked: .+\. Trying again$/);
    expect(await partSize()).toBeGreaterThan(0);
    expect(await bed.everything()).not.toContain('acme');
  });

  test('and a server that is busy for a moment are no errors', async () => {
    hub.faults.unavailable = 2;
    expect(await bed.pull()).toMatchObject({ result: 'downloaded' });
  });

  test('silence is given up after the time that was set', async () => {
    hub.faults.hangAfter = 50_000;
    const remote = { hubUrl: hub.url, allowHttp: false, requestTimeoutMs: 500, keys: { huggingface: undefined } };
    const read = async (): Promise<void> => {
      const { response } = await requestHub(remote, `/${NAME}/resolve/${COMMIT}/onnx/model.onnx`);
      await response.arrayBuffer();
    };
    await expect(read()).rejects.toThrow('nothing came for 0.5 s');
  });
});

describe('an interrupted pull', () => {
  test('goes on with Range where it stopped, and leaves nothing behind', async () => {
    await interruptedPull();
    const size = await partSize();
    expect(size).toBeGreaterThan(0);
    expect(await bed.everything()).not.toContain('acme');
    const { files } = await bed.pull();
    expect(ranges()).toEqual([`bytes=${size}-`]);
    expect(files['onnx/model.onnx']).toBe(sha256(GRAPH));
    expect(bed.asked().filter((path) => path.endsWith('tokenizer.json'))).toEqual([]);
    expect((await bed.everything()).filter((path) => path.startsWith('.downloads'))).toEqual([]);
  });

  test('starts anew where the server does not know Range', async () => {
    await interruptedPull();
    hub.faults.ignoreRange = 1;
    expect(await bed.pull()).toMatchObject({ files: { 'onnx/model.onnx': sha256(GRAPH) } });
    expect(ranges()).toHaveLength(1);
  });

  test.each(['refuseRange', 'shiftedRange'] as const)(
    'starts anew after a wrong answer to Range (%s)',
    async (fault) => {
      await interruptedPull();
      hub.faults[fault] = 1;
      expect(await bed.pull()).toMatchObject({ files: { 'onnx/model.onnx': sha256(GRAPH) } });
      expect(ranges()).toEqual([expect.stringMatching(/^bytes=\d+-$/), undefined]);
    },
  );

  test('does not go on with a part of another content', async () => {
    await interruptedPull();
    const other = Buffer.alloc(200_000, 'another graph');
    hub.repositories.set(NAME, { commit: 'b'.repeat(40), files: { ...FILES, 'onnx/model.onnx': other } });
    expect(await bed.pull()).toMatchObject({ files: { 'onnx/model.onnx': sha256(other) } });
    expect(ranges()).toEqual([undefined]);
    expect((await bed.everything()).filter((path) => path.startsWith('.downloads'))).toEqual([]);
  });

  test('of a process that was killed is taken over by the next one', async () => {
    await interruptedPull();
    // A process id that no system gives.
    await rename(join(downloads(), part), join(downloads(), `${part}.4194999@${hostname()}@0123abcd`));
    await bed.pull();
    expect(ranges()).toEqual([expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
    expect((await bed.everything()).filter((path) => path.startsWith('.downloads'))).toEqual([]);
  });
});

describe('what comes is held against size and checksum', () => {
  test.each([
    ['onnx/model.onnx', 'sha256'],
    ['tokenizer.json', 'git-sha1'],
  ])('an altered byte of %s is refused with both checksums, and the part is gone', async (path, algorithm) => {
    hub.faults.alter = path;
    const { code, message } = await bed.refusal();
    expect(code).toBe('download_corrupt');
    expect(message).toMatch(
      new RegExp(
        `^${path} of ${NAME} has ${algorithm} [0-9a-f]{40,64}, the Hub says [0-9a-f]{40,64}: it was removed\\.$`,
      ),
    );
    expect((await bed.everything()).filter((each) => each.includes(path.replace('/', '__')))).toEqual([]);
    expect(await bed.everything()).not.toContain('acme');
    hub.faults.alter = undefined;
    expect(await bed.pull()).toMatchObject({ result: 'downloaded' });
  });

  test('a part that was altered on the disk is found, and the next pull begins anew', async () => {
    await interruptedPull();
    const bytes = await readFile(join(downloads(), part));
    bytes[10] = (bytes[10] ?? 0) ^ 1;
    await writeFile(join(downloads(), part), bytes);
    expect(await bed.refusal()).toMatchObject({ code: 'download_corrupt' });
    expect(await bed.pull()).toMatchObject({ files: { 'onnx/model.onnx': sha256(GRAPH) } });
  });

  test('a server that gives another file than the list says is refused before its bytes are taken', async () => {
    const remote = { hubUrl: hub.url, allowHttp: false, requestTimeoutMs: 5000, keys: { huggingface: undefined } };
    const checksum = { algorithm: 'sha256', value: 'f'.repeat(64) } as const;
    const file = { path: 'onnx/model.onnx', bytes: GRAPH.length, checksum };
    const target = join(bed.root, 'another-file');
    await expect(downloadFile(remote, { repo: NAME, commit: COMMIT }, file, target)).rejects.toMatchObject({
      code: 'hub_file_differs',
      message: `${hub.url} gives onnx/model.onnx with sha256 ${sha256(GRAPH)}, its list says ${checksum.value}.`,
    });
    await expect(readFile(target)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a full disk', () => {
  test('is seen before the first byte', async () => {
    const huge = 2 ** 52;
    hub.repositories.set(NAME, { ...REPOSITORY, listedBytes: { 'onnx/model.onnx': huge } });
    const { code, message, hint } = await bed.refusal();
    expect(code).toBe('disk_full');
    expect(message).toMatch(/^4500 TB are to be downloaded, .*small-en has [\d.]+ [GT]B free\.$/);
    expect(hint).toContain('REEMBED_MODELS_DIR');
    expect(bed.asked()).toEqual([]);
  });

  test('and a place that cannot be written are told apart', async () => {
    const modelsDir = join(bed.root, 'a-file');
    await writeFile(modelsDir, '');
    expect(await bed.refusal({ modelsDir })).toMatchObject({
      code: 'download_unwritable',
      message: expect.stringMatching(new RegExp(`^Could not write ${NAME} in ${modelsDir}: EEXIST`)),
      hint: expect.stringContaining('REEMBED_MODELS_DIR'),
    });
  });

  test('in the middle is one sentence, and the part is gone on with once there is space', async ({ skip }) => {
    const small = join(bed.root, 'small');
    await mkdir(small);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]).status === 0;
    if (!mounted) skip('mounting a small file system needs root');
    try {
      const filler = join(small, 'filler');
      const onProgress: OnProgress = (event) => {
        // A full disk: what still fits is written.
        if (event.kind === 'download' && event.file === 'onnx/model.onnx')
          spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k']);
      };
      const { code, message } = await bed.refusal({ modelsDir: small, onProgress });
      const where = join(small, '.downloads', NAME);
      expect([code, message]).toEqual([
        'disk_full',
        `Could not write onnx/model.onnx in ${where}: the disk is full; what came so far is kept.`,
      ]);
      await rm(filler);
      hub.requests.length = 0;
      expect(await bed.pull({ modelsDir: small })).toMatchObject({ files: { 'onnx/model.onnx': sha256(GRAPH) } });
      expect(ranges()).toEqual([expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
    } finally {
      spawnSync('umount', [small]);
    }
  });
});
