import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transform } from 'esbuild';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where commands run that no test gives a project of its own: this repository, or its project as JavaScript. */
    readonly cliProject: string;
  }
}

const ROOT = join(import.meta.dirname, '../..');

/** A file of the repository's own project on the built package: commands start in half the time where nothing has to be compiled. */
async function compile(file: string, target: string): Promise<void> {
  const source = (await readFile(join(ROOT, file), 'utf8'))
    .replace(/'\.\.?\/src\/(.+)\.ts'/g, `'${ROOT}/dist/esm/$1.js'`)
    .replaceAll('reembed.config.ts', 'reembed.config.mjs')
    .replace("extension: 'ts', loadExtensions: ['.ts']", "extension: 'mjs', loadExtensions: ['.mjs']");
  const { code } = await transform(source, { loader: 'ts' });
  await writeFile(join(target, file.replace(/ts$/, 'mjs')), code);
}

async function compileProject(): Promise<string> {
  const target = await mkdtemp(join(tmpdir(), 'reembed-cli-project-'));
  await mkdir(join(target, 'migrations'));
  await symlink(join(ROOT, 'node_modules'), join(target, 'node_modules'));
  const migrations = (await readdir(join(ROOT, 'migrations'))).filter((file) => file.endsWith('.ts'));
  const files = ['reembed.config.ts', 'knexfile.ts', ...migrations.map((file) => `migrations/${file}`)];
  await Promise.all(files.map((file) => compile(file, target)));
  return target;
}

/** The project in which commands run: where the built binary is under test, one that is built as well. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const built = process.env.REEMBED_TEST_BUILT === '1' ? await compileProject() : undefined;
  project.provide('cliProject', built ?? ROOT);
  return async () => {
    if (built !== undefined) await rm(built, { recursive: true });
  };
}
