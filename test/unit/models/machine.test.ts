import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readCgroupLimits } from '../../../src/models/cgroup.ts';
import { readMachine } from '../../../src/models/machine.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const root = await temporaryDirectory();
const MEBIBYTE = 1024 ** 2;

/** A tree of `/proc` and `/sys` as Linux shows it; each file by its path. */
async function tree(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(root, 'tree-'));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), `${content}\n`);
  }
  return directory;
}

const MOUNT_V2 = '31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw';
const mountV1 = (controller: string, group: string): string =>
  `32 31 0:29 ${group} /sys/fs/cgroup/${controller} rw,relatime - cgroup cgroup rw,${controller}`;

describe('version 2', () => {
  test('the tightest group on the way up decides', async () => {
    const limits = readCgroupLimits(
      await tree({
        'proc/self/cgroup': '0::/kubepods/pod1/app',
        'proc/self/mountinfo': MOUNT_V2,
        'sys/fs/cgroup/kubepods/cpu.max': '800000 100000',
        'sys/fs/cgroup/kubepods/pod1/cpu.max': '150000 100000',
        'sys/fs/cgroup/kubepods/pod1/app/cpu.max': 'max 100000',
        'sys/fs/cgroup/kubepods/pod1/memory.max': String(512 * MEBIBYTE),
        'sys/fs/cgroup/kubepods/pod1/memory.current': String(200 * MEBIBYTE),
        'sys/fs/cgroup/kubepods/pod1/app/memory.max': 'max',
      }),
    );
    expect(limits).toEqual({ cpus: 1.5, freeBytes: 312 * MEBIBYTE });
  });

  test('page cache that can be dropped counts as free', async () => {
    const limits = readCgroupLimits(
      await tree({
        'proc/self/cgroup': '0::/',
        'proc/self/mountinfo': MOUNT_V2,
        'sys/fs/cgroup/memory.max': String(1024 * MEBIBYTE),
        'sys/fs/cgroup/memory.current': String(900 * MEBIBYTE),
        'sys/fs/cgroup/memory.stat': `anon 1\ninactive_file ${400 * MEBIBYTE}\nactive_file 7`,
      }),
    );
    expect(limits).toEqual({ cpus: undefined, freeBytes: 524 * MEBIBYTE });
  });

  test('a group outside of what is mounted is looked for at the mount', async () => {
    const limits = readCgroupLimits(
      await tree({
        'proc/self/cgroup': '0::/elsewhere',
        'proc/self/mountinfo': '31 23 0:28 /docker/abc /sys/fs/cgroup\\040v2 ro - cgroup2 cgroup rw',
        'sys/fs/cgroup v2/cpu.max': '50000 100000',
      }),
    );
    expect(limits.cpus).toBe(0.5);
  });
});

describe('version 1', () => {
  test("each controller has a tree of its own, and a container's own group is the top of it", async () => {
    const group = '/docker/abc';
    const limits = readCgroupLimits(
      await tree({
        'proc/self/cgroup': `5:cpu,cpuacct:${group}\n4:memory:${group}/inner\n1:name=systemd:/\n0::/`,
        'proc/self/mountinfo': `${mountV1('cpu,cpuacct', group)}\n${mountV1('memory', group)}`,
        'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '300000',
        'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000',
        'sys/fs/cgroup/memory/memory.limit_in_bytes': String(256 * MEBIBYTE),
        'sys/fs/cgroup/memory/memory.usage_in_bytes': String(100 * MEBIBYTE),
        'sys/fs/cgroup/memory/memory.stat': `total_inactive_file ${10 * MEBIBYTE}`,
        'sys/fs/cgroup/memory/inner/memory.limit_in_bytes': '9223372036854771712',
      }),
    );
    expect(limits).toEqual({ cpus: 3, freeBytes: 166 * MEBIBYTE });
  });

  test('a quota of -1 is none', async () => {
    const limits = readCgroupLimits(
      await tree({
        'proc/self/cgroup': '1:cpu:/',
        'proc/self/mountinfo': mountV1('cpu', '/'),
        'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
        'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
      }),
    );
    expect(limits.cpus).toBeUndefined();
  });
});

test('outside Linux nothing is limited', async () => {
  expect(readCgroupLimits(await tree({}))).toEqual({ cpus: undefined, freeBytes: undefined });
});

describe('the machine', () => {
  const quota = (text: string) =>
    tree({
      'proc/self/cgroup': '0::/app',
      'proc/self/mountinfo': MOUNT_V2,
      'proc/meminfo': 'MemTotal: 8388608 kB\nMemAvailable:    2097152 kB',
      'sys/fs/cgroup/app/cpu.max': text,
    });

  test.each([
    ['150000 100000', 8, 2],
    ['20000 100000', 8, 1],
    ['400000 100000', 2, 2],
    ['max 100000', 6, 6],
  ])('with quota %s and %i cores by affinity %i are used', async (text, parallelism, expected) => {
    expect(readMachine({ root: await quota(text), parallelism }).cores).toBe(expected);
  });

  test('free memory is what Linux could give, where no group allows less', async () => {
    const machine = readMachine({ root: await quota('max 100000'), parallelism: 2 });
    expect(machine.freeBytes).toBe(2048 * MEBIBYTE);
    expect(readMachine({ root: await tree({}), parallelism: 2, freeBytes: 5 }).freeBytes).toBe(5);
  });

  test('this machine is described', () => {
    const { cpu, arch, cores, freeBytes } = readMachine();
    expect(cpu).not.toBe('');
    expect(arch).toBe(process.arch);
    expect(cores).toBeGreaterThan(0);
    expect(freeBytes).toBeGreaterThan(0);
  });
});
