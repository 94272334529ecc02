import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import { readCgroupLimits } from './cgroup.ts';

/** What of this machine the process may use. */
export interface Machine {
  /** The processor's name, as the system gives it. */
  readonly cpu: string;
  readonly arch: string;
  /** Cores' worth of time, rounded up: by affinity and by the quota of the control groups. */
  readonly cores: number;
  /** Bytes that can still be taken, by the system and by the control groups. */
  readonly freeBytes: number;
}

/** What `readMachine` starts from; tests give a tree and numbers of their own. */
export interface MachineSources {
  /** Where `/proc` and `/sys` lie. */
  readonly root?: string;
  /** Cores by affinity. */
  readonly parallelism?: number;
  /** Free memory where the system has no `/proc/meminfo`. */
  readonly freeBytes?: number;
}

/**
 * Looks at the machine as this process may use it now. A quota of 1.5 cores counts as two: two threads use all of it,
 * one would leave a third unused.
 */
export function readMachine(sources: MachineSources = {}): Machine {
  const { root = '/', parallelism = availableParallelism() } = sources;
  const limits = readCgroupLimits(root);
  const free = memAvailable(root) ?? sources.freeBytes ?? freeElsewhere();
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    arch: process.arch,
    cores: Math.max(1, Math.min(parallelism, Math.ceil(limits.cpus ?? Number.POSITIVE_INFINITY))),
    freeBytes: Math.min(free, limits.freeBytes ?? Number.POSITIVE_INFINITY),
  };
}

/** Linux's own estimate: free pages and what could be dropped from the page cache. */
function memAvailable(root: string): number | undefined {
  try {
    const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync(join(root, 'proc/meminfo'), 'utf8'));
    return match === null ? undefined : Number(match[1]) * 1024;
  } catch {
    return undefined;
  }
}

/** macOS counts only pages that were never used as free: half of the memory is a better guess there. */
function freeElsewhere(): number {
  return Math.max(freemem(), totalmem() / 2);
}
