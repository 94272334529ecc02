import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type CalibrationKey, readCalibration, writeCalibration } from '../../../src/models/calibration-cache.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const root = await temporaryDirectory();
const key: CalibrationKey = {
  cpu: 'EPYC',
  arch: 'x64',
  cores: 2,
  threads: 2,
  device: 'cpu',
  graph: 'ab12',
  dtype: 'int8',
  runtime: '1.30.0',
  texts: null,
};
const calibration = {
  budget: 512,
  measured: [
    { budget: 256, tokensPerSecond: 21_400.5, textsPerSecond: 196 },
    { budget: 512, tokensPerSecond: 22_000, textsPerSecond: 201.8 },
  ],
  calibratedAt: '2026-01-01T00:00:00.000Z',
};

async function entryOf(directory: string): Promise<string> {
  const [name = ''] = await readdir(join(directory, 'calibration'));
  return join(directory, 'calibration', name);
}

test('what was written is read again, and nothing else lies there', async () => {
  const directory = join(root, 'new', 'cache');
  expect(await readCalibration(directory, key)).toBeUndefined();
  expect(await writeCalibration(directory, key, calibration)).toBe(true);
  expect(await writeCalibration(directory, key, { ...calibration, budget: 256 })).toBe(true);
  expect(await readCalibration(directory, key)).toEqual({ ...calibration, budget: 256 });
  expect(await readdir(join(directory, 'calibration'))).toHaveLength(1);
});

test.each([
  { cpu: 'Xeon' },
  { arch: 'arm64' },
  { cores: 4 },
  { threads: 1 },
  { device: 'cuda' },
  { graph: 'cd34' },
  { dtype: 'fp32' },
  { runtime: '1.31.0' },
  { texts: 32 },
])('an entry of another machine, model or version is not used: %j', async (other) => {
  const directory = join(root, JSON.stringify(Object.keys(other)));
  await writeCalibration(directory, { ...key, ...other }, calibration);
  expect(await readCalibration(directory, key)).toBeUndefined();
  // Not even where it lies under the name of this one.
  const foreign = await readFile(await entryOf(directory));
  await writeCalibration(directory, key, calibration);
  for (const name of await readdir(join(directory, 'calibration')))
    await writeFile(join(directory, 'calibration', name), foreign);
  expect(await readCalibration(directory, key)).toBeUndefined();
});

test.each([
  ['nothing', ''],
  ['half of it', '{"format": 1, "key": {'],
  ['another form', '{"format": 2}'],
  ['a budget of 0', JSON.stringify({ format: 1, key, calibration: { ...calibration, budget: 0 } })],
  ['an empty table', JSON.stringify({ format: 1, key, calibration: { ...calibration, measured: [] } })],
])('a damaged entry is no entry: %s', async (_, content) => {
  const directory = join(root, `damaged-${content.length}`);
  await writeCalibration(directory, key, calibration);
  await writeFile(await entryOf(directory), content);
  expect(await readCalibration(directory, key)).toBeUndefined();
});

test('a directory that cannot be made or read is no error', async () => {
  const file = join(root, 'a-file');
  await writeFile(file, '');
  expect(await writeCalibration(file, key, calibration)).toBe(false);
  expect(await readCalibration(file, key)).toBeUndefined();
  // A directory lies where the entry would.
  const blocked = join(root, 'blocked');
  await writeCalibration(blocked, key, calibration);
  const entry = await entryOf(blocked);
  await rm(entry);
  await mkdir(entry);
  expect(await writeCalibration(blocked, key, calibration)).toBe(false);
  expect(await readdir(join(blocked, 'calibration'))).toHaveLength(1);
});
