import { mkdir, rmdir, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A turn takes milliseconds: one that lasts so long belongs to a process that was killed. */
const TURN_MS = 10_000;

/** Makes the error of whoever waits for a turn; `hint` is undefined where the cause tells all there is. */
export type TurnFailure = (reason: string, hint: string | undefined, cause?: unknown) => Error;

/** Runs `work` while no other process does so for the same file: a short read, change and rename, so that of two none is lost. */
export async function inTurn<T>(path: string, failure: TurnFailure, work: () => Promise<T>): Promise<T> {
  const guard = await takeTurn(path, failure);
  try {
    return await work();
  } finally {
    await rmdir(guard).catch(() => undefined);
  }
}

/** A directory that one process at a time can make. */
async function takeTurn(path: string, failure: TurnFailure): Promise<string> {
  const guard = `${path}.writing`;
  for (const began = performance.now(); !(await makes(guard, failure)); ) {
    if (performance.now() - began > 3 * TURN_MS) throw occupied(guard, failure);
    if (await isLeft(guard)) await takeAway(guard, failure);
    await sleep(20);
  }
  return guard;
}

/** Whether this process made the directory; false where another was first. */
async function makes(directory: string, failure: TurnFailure): Promise<boolean> {
  try {
    await mkdir(directory);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw failure(error instanceof Error ? error.message : String(error), undefined, error);
  }
}

async function isLeft(guard: string): Promise<boolean> {
  const since = await stat(guard).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
  return since !== undefined && Math.abs(Date.now() - since) > TURN_MS;
}

/**
 * Removes a guard that was left. One process at a time, which looks again first: of two that saw the same old guard the
 * slower would otherwise remove the new one, that the faster has made meanwhile.
 */
async function takeAway(guard: string, failure: TurnFailure): Promise<void> {
  const removing = `${guard}.removing`;
  if (!(await makes(removing, failure))) return;
  try {
    if (await isLeft(guard)) await rmdir(guard).catch(() => undefined);
  } finally {
    await rmdir(removing).catch(() => undefined);
  }
}

function occupied(guard: string, failure: TurnFailure): Error {
  return failure(
    `${guard} is there since ${(3 * TURN_MS) / 1000} s`,
    `Where no other process of reembed runs, remove ${guard} and ${guard}.removing, and run the command again.`,
  );
}
