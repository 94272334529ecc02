import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockDirectory } from '../../../src/db/embedded-lock.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'reembed-lock-test-'));
  file = join(directory, 'reembed.lock');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function deadPid(): number {
  const { pid } = spawnSync(process.execPath, ['-e', '0']);
  return pid;
}

const lockOf = (changes: object): string =>
  JSON.stringify({ pid: process.pid, host: hostname(), started: null, socketDirectory: null, ...changes });

test('a lock is held until it is released, and leaves nothing behind', async () => {
  const lock = await lockDirectory(directory, undefined);
  await expect(lockDirectory(directory, undefined)).rejects.toMatchObject({
    name: 'BusyError',
    message: expect.stringContaining(`process ${process.pid}`),
  });
  lock.release();
  expect(readdirSync(directory)).toEqual([]);
});

test('a dead process’s lock is taken over, once, by whoever comes first', async () => {
  writeFileSync(file, lockOf({ pid: deadPid() }));
  const attempts = await Promise.allSettled(Array.from({ length: 5 }, () => lockDirectory(directory, undefined)));
  const taken = attempts.filter((attempt) => attempt.status === 'fulfilled');
  expect(taken).toHaveLength(1);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ pid: process.pid });
});

test.runIf(existsSync('/proc/self/stat'))('a process id that another process has by now is a dead one’s', async () => {
  writeFileSync(file, lockOf({ pid: process.ppid, started: 'another boot 1' }));
  const lock = await lockDirectory(directory, undefined);
  expect(lock.replaced?.pid).toBe(process.ppid);
  lock.release();
});

test('the lock of another machine is left to a person', async () => {
  writeFileSync(file, lockOf({ pid: 1, host: 'elsewhere' }));
  await expect(lockDirectory(directory, undefined)).rejects.toMatchObject({
    message: expect.stringContaining('on elsewhere'),
    hint: expect.stringContaining(file),
  });
});

test('a file that is no lock is named and kept', async () => {
  writeFileSync(file, 'shopping list');
  await expect(lockDirectory(directory, undefined)).rejects.toMatchObject({ code: 'embedded_lock' });
  expect(readFileSync(file, 'utf8')).toBe('shopping list');
});
