import { linkSync, mkdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BusyError, DatabaseError, messageOf } from '../errors.ts';

/** Who has a data directory open, as its lock file says. */
export interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /** Tells a process from a later one with the same id; null where the system does not say. */
  readonly started: string | null;
  /** The directory of its socket, to be removed after it died. */
  readonly socketDirectory: string | null;
}

export interface DirectoryLock {
  /** The dead process whose lock was taken over. */
  readonly replaced: LockOwner | undefined;
  release(): void;
}

const LOCK_FILE = 'reembed.lock';
/** Taking over lasts a millisecond; older than this, whoever did it has died. */
const TAKEOVER_MS = 10_000;

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** The start time of a process in clock ticks since the boot, with the boot's id. Source: proc(5), field 22 of stat. */
function startOf(pid: number): string | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()?.split(' ');
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields?.[19] ?? ''}`;
  } catch {
    return null;
  }
}

function isAlive(owner: LockOwner): boolean {
  // The process ids of another machine or container mean nothing here: only a person can tell.
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
  const started = startOf(owner.pid);
  return owner.started === null || started === null || owner.started === started;
}

function readOwner(file: string): LockOwner | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { pid, host, started, socketDirectory } = JSON.parse(text) as Partial<LockOwner>;
    if (typeof pid !== 'number' || typeof host !== 'string') throw new TypeError('no process id');
    return { pid, host, started: started ?? null, socketDirectory: socketDirectory ?? null };
  } catch (error) {
    throw new DatabaseError('embedded_lock', `${file} is not a lock of reembed: ${messageOf(error)}.`, {
      hint: 'If no process uses the embedded database, delete that file.',
      cause: error,
    });
  }
}

/** Creates the file with its content in one step, so that nobody reads half of it; false when it exists. */
function createLock(file: string, owner: LockOwner): boolean {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(owner));
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    // A file system without links.
    try {
      writeFileSync(file, JSON.stringify(owner), { flag: 'wx' });
      return true;
    } catch (second) {
      if (codeOf(second) === 'EEXIST') return false;
      throw second;
    }
  } finally {
    unlinkSync(draft);
  }
}

/** Only one process at a time may remove a dead one's lock: two at once would remove each other's new one. */
function withTakeover(directory: string, work: () => void): void {
  const guard = join(directory, `${LOCK_FILE}.takeover`);
  try {
    mkdirSync(guard);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const age = Date.now() - (statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > TAKEOVER_MS) rmSync(guard, { recursive: true, force: true });
    return;
  }
  try {
    work();
  } finally {
    rmSync(guard, { recursive: true, force: true });
  }
}

function busy(directory: string, owner: LockOwner): BusyError {
  const here = owner.host === hostname();
  const who = here ? `process ${owner.pid}` : `process ${owner.pid} on ${owner.host}`;
  return new BusyError('embedded_busy', `The embedded database in ${directory} is in use by ${who}.`, {
    hint: here
      ? 'Wait for that process or stop it; the embedded database serves one process at a time.'
      : `If that machine is gone, delete ${join(directory, LOCK_FILE)}.`,
    context: { pid: owner.pid, host: owner.host, directory },
  });
}

/**
 * Makes this process the only one that has the directory open. A lock whose process is dead is taken over.
 * @throws BusyError with the living process's id
 */
export async function lockDirectory(directory: string, socketDirectory: string | undefined): Promise<DirectoryLock> {
  const file = join(directory, LOCK_FILE);
  const owner: LockOwner = {
    pid: process.pid,
    host: hostname(),
    started: startOf(process.pid),
    socketDirectory: socketDirectory ?? null,
  };
  let replaced: LockOwner | undefined;
  while (!createLock(file, owner)) {
    const seen = readOwner(file);
    if (seen === undefined) continue;
    if (isAlive(seen)) throw busy(directory, seen);
    withTakeover(directory, () => {
      const current = readOwner(file);
      if (current === undefined || isAlive(current)) return;
      replaced = current;
      unlinkSync(file);
    });
    await sleep(10);
  }
  return { replaced, release: () => rmSync(file, { force: true }) };
}
