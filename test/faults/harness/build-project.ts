import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build, type Plugin } from 'esbuild';

const ROOT = join(import.meta.dirname, '../../..');

/** A change of one source file: what stands there exactly once, and what takes its place. */
export interface Patch {
  /** Relative to the repository. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** The repository's own project, built: `cli.js`, `knexfile.js`, `reembed.config.js` and `migrations/`. */
export interface BuiltProject {
  readonly directory: string;
  remove(): Promise<void>;
}

/**
 * Builds what a user runs into a directory of its own, so that plain Node starts it.
 *
 * @throws Error when a patch does not find its place exactly once
 */
export async function buildProject(patches: readonly Patch[] = []): Promise<BuiltProject> {
  const directory = await mkdtemp(join(tmpdir(), 'reembed-project-'));
  const migrations = (await readdir(join(ROOT, 'migrations'))).filter((name) => name.endsWith('.ts'));
  const entryPoints = Object.fromEntries([
    ['cli', 'src/cli/main.ts'],
    ['knexfile', 'test/faults/project/knexfile.ts'],
    ['reembed.config', 'reembed.config.ts'],
    ...migrations.map((name) => [`migrations/${basename(name, '.ts')}`, `migrations/${name}`]),
  ]);
  const patched = new Set<Patch>();
  try {
    await build({
      absWorkingDir: ROOT,
      entryPoints,
      outdir: directory,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      packages: 'external',
      chunkNames: 'chunks/[hash]',
      plugins: [patching(patches, patched)],
      logLevel: 'error',
    });
    const missed = patches.filter((patch) => !patched.has(patch));
    if (missed.length > 0) throw new Error(`no file of the build is ${missed.map(({ file }) => file).join(', ')}`);
    await writeFile(join(directory, 'package.json'), '{ "type": "module" }\n');
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  return { directory, remove: () => rm(directory, { recursive: true, force: true }) };
}

function patching(patches: readonly Patch[], patched: Set<Patch>): Plugin {
  return {
    name: 'patch',
    setup(builder) {
      for (const file of new Set(patches.map((patch) => patch.file))) {
        const path = join(ROOT, file);
        builder.onLoad({ filter: new RegExp(`^${path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`) }, async () => {
          let contents = await readFile(path, 'utf8');
          for (const patch of patches.filter((each) => each.file === file)) {
            contents = applyPatch(contents, patch);
            patched.add(patch);
          }
          return { contents, loader: 'ts' };
        });
      }
    },
  };
}

/** @throws Error when `find` does not stand there exactly once */
export function applyPatch(contents: string, { file, find, replace }: Patch): string {
  const count = contents.split(find).length - 1;
  if (count !== 1) throw new Error(`${file} has ${count} places of ${JSON.stringify(find)}, expected exactly one`);
  return contents.replace(find, () => replace);
}
