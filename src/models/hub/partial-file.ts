import { randomUUID } from 'node:crypto';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** The part of a file that was downloaded so far, in the hands of this process alone. */
export interface PartialFile {
  /** Where it lies while this process writes it; nothing may be there yet. */
  readonly path: string;
  /** Leaves it to the next run. */
  release(): Promise<void>;
}

/** Of another machine, a file that nobody wrote for so long is nobody's any more. */
const FOREIGN_ABANDONED_MS = 3_600_000;
const OWNER = /\.(\d+)@([^@]+)@[0-9a-f]+$/;

/** Names what this process alone works on; later ones see by it whether the process still lives. */
export function ownedName(path: string): string {
  const host = hostname().replaceAll(/[^\w.-]/g, '_') || 'host';
  return `${path}.${process.pid}@${host}@${randomUUID().slice(0, 8)}`;
}

/** True for what `ownedName` named in a process that is gone. */
export async function isAbandoned(path: string): Promise<boolean> {
  const [, pid, host] = OWNER.exec(path) ?? [];
  if (pid === undefined || host === undefined) return false;
  if (host === OWNER.exec(ownedName(''))?.[2]) return !isAlive(Number(pid));
  const entry = await stat(path).catch(() => undefined);
  return entry !== undefined && Date.now() - entry.mtimeMs > FOREIGN_ABANDONED_MS;
}

/**
 * Takes over what an earlier run left of `path`, in a directory that is there, or begins anew. Taking over is a rename, which one process alone can win: two pulls at
 * once never write the same file.
 */
export async function claimPartial(path: string): Promise<PartialFile> {
  const own = ownedName(path);
  for (const candidate of await leftBehind(path)) {
    if (await renamed(candidate, own)) break;
  }
  return {
    path: own,
    release: async () => {
      await renamed(own, path);
    },
  };
}

/** Removes what dead processes left under another process's name: files that nobody claims. */
export async function removeAbandoned(directory: string, prefix: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name);
    if (name.startsWith(prefix) && (await isAbandoned(path))) await rm(path, { recursive: true, force: true });
  }
}

async function leftBehind(path: string): Promise<readonly string[]> {
  const found = [path];
  for (const name of await readdir(dirname(path))) {
    const candidate = join(dirname(path), name);
    if (name.startsWith(`${basename(path)}.`) && (await isAbandoned(candidate))) found.push(candidate);
  }
  return found;
}

async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
