import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** What the control groups of this process allow; undefined where they set no limit. */
export interface CgroupLimits {
  /** Cores' worth of time, e.g. 1.5. */
  readonly cpus: number | undefined;
  /** Bytes that can still be taken before the tightest limit; page cache that can be dropped counts as free. */
  readonly freeBytes: number | undefined;
}

interface Mount {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  /** The group that is seen at `point`: in a container not always the topmost one. */
  readonly group: string;
  readonly point: string;
}

/** A limit of this or more is how the first version says "none". */
const NO_LIMIT = 2 ** 60;

/**
 * CPU quota and memory limit of this process, versions 1 and 2, the tightest of all groups from its own up to the
 * topmost one that can be seen. Node 20 knows affinity and, in part, memory, but no quota.
 * Formats: https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html.
 * @param root where `/proc` and `/sys` lie.
 */
export function readCgroupLimits(root = '/'): CgroupLimits {
  const mounts = readMounts(root);
  const cpus: number[] = [];
  const freeBytes: number[] = [];
  for (const { controllers, path } of readMembership(root)) {
    for (const mount of mounts) {
      const version2 = mount.version === 2;
      if (version2 !== (controllers.length === 0)) continue;
      const has = (controller: string): boolean =>
        version2 || (controllers.includes(controller) && mount.controllers.includes(controller));
      for (const directory of ancestors(join(root, mount.point), insideMount(mount.group, path))) {
        if (has('cpu')) push(cpus, version2 ? quota2(directory) : quota1(directory));
        if (has('memory')) push(freeBytes, version2 ? free2(directory) : free1(directory));
      }
    }
  }
  return { cpus: smallest(cpus), freeBytes: smallest(freeBytes) };
}

/** Lines of `/proc/self/cgroup`: `hierarchy:controllers:path`; version 2 names no controllers. */
function readMembership(root: string): readonly { readonly controllers: readonly string[]; readonly path: string }[] {
  return lines(join(root, 'proc/self/cgroup')).flatMap((line) => {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (match === null) return [];
    const [, controllers = '', path = '/'] = match;
    return [{ controllers: controllers === '' ? [] : controllers.split(','), path }];
  });
}

/** Lines of `/proc/self/mountinfo`: id, parent, device, root, mount point, options, … `-`, type, source, super options. */
function readMounts(root: string): readonly Mount[] {
  return lines(join(root, 'proc/self/mountinfo')).flatMap((line): Mount[] => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , group = '/', point = ''] = before.split(' ').map(unescapeOctal);
    const [type, , options = ''] = after.split(' ');
    if (type === 'cgroup2') return [{ version: 2, controllers: [], group, point }];
    return type === 'cgroup' ? [{ version: 1, controllers: options.split(','), group, point }] : [];
  });
}

function unescapeOctal(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** The group's path below the mount; the mount itself where the group lies outside what is mounted. */
function insideMount(group: string, path: string): string {
  const inside = relative(group, path);
  return inside.startsWith('..') ? '' : inside;
}

function ancestors(point: string, path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return [point, ...parts.map((_, depth) => join(point, ...parts.slice(0, depth + 1)))];
}

function quota2(directory: string): number | undefined {
  const [quota, period] = (lines(join(directory, 'cpu.max'))[0] ?? '').split(' ').map(Number);
  return ratio(quota, period);
}

function quota1(directory: string): number | undefined {
  return ratio(readNumber(join(directory, 'cpu.cfs_quota_us')), readNumber(join(directory, 'cpu.cfs_period_us')));
}

function ratio(quota: number | undefined, period: number | undefined): number | undefined {
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : undefined;
}

function free2(directory: string): number | undefined {
  const limit = readNumber(join(directory, 'memory.max'));
  return free(limit, readNumber(join(directory, 'memory.current')), statistic(directory, 'inactive_file'));
}

function free1(directory: string): number | undefined {
  const limit = readNumber(join(directory, 'memory.limit_in_bytes'));
  return free(limit, readNumber(join(directory, 'memory.usage_in_bytes')), statistic(directory, 'total_inactive_file'));
}

function free(limit: number | undefined, used = 0, cached = 0): number | undefined {
  if (limit === undefined || limit >= NO_LIMIT) return undefined;
  return Math.max(0, limit - Math.max(0, used - cached));
}

function statistic(directory: string, name: string): number | undefined {
  const line = lines(join(directory, 'memory.stat')).find((each) => each.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

function readNumber(path: string): number | undefined {
  const value = Number(lines(path)[0] ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/** No file, no lines: outside Linux, or a controller that is not there. */
function lines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
}

function push(values: number[], value: number | undefined): void {
  if (value !== undefined) values.push(value);
}

function smallest(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.min(...values);
}
