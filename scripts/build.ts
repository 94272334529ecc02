/** Builds the package: ESM as it stands in `src`, and CommonJS for those whose loader knows nothing else (Jest). */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const root = dirname(import.meta.dirname);
const esm = join(root, 'dist/esm');
const cjs = join(root, 'dist/cjs');
/** Node 20.19 can require() these too, but not every loader that has only CommonJS can. */
const ESM_ONLY = ['p-limit', 'p-retry'];
const ENTRIES = ['index', 'migrations/index'] as const;

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

function externals(): string[] {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
  const names = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)];
  return names.filter((name) => !ESM_ONLY.includes(name)).flatMap((name) => [name, `${name}/*`]);
}

function buildEsm(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('tsc failed');
}

/** One bundle behind both entries: an error class exists once, whichever entry threw it. */
async function buildCjs(): Promise<void> {
  const contents = ENTRIES.map((entry, i) => `export * as entry${i} from './${entry}.ts';`).join('\n');
  await build({
    stdin: { contents, resolveDir: join(root, 'src'), loader: 'ts' },
    outfile: join(cjs, 'reembed.js'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: externals(),
    define: {
      'import.meta.url': 'importMeta.url',
      'import.meta.dirname': 'importMeta.dirname',
      'import.meta.resolve': 'importMeta.resolve',
    },
    banner: {
      js: `'use strict';
const importMeta = { url: require('node:url').pathToFileURL(__filename).href, dirname: __dirname,
  resolve: (name) => require('node:url').pathToFileURL(require.resolve(name)).href };`,
    },
    logLevel: 'warning',
  });
  ENTRIES.forEach((entry, i) => {
    const file = join(cjs, `${entry}.js`);
    mkdirSync(dirname(file), { recursive: true });
    const up = '../'.repeat(entry.split('/').length - 1) || './';
    writeFileSync(file, `'use strict';\nmodule.exports = require('${up}reembed.js').entry${i};\n`);
  });
}

function copyTypes(): void {
  const types = readdirSync(esm, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.d.ts'));
  for (const file of types) cpSync(join(esm, file), join(cjs, file));
  writeFileSync(join(cjs, 'package.json'), '{ "type": "commonjs" }\n');
}

rmSync(join(root, 'dist'), { recursive: true, force: true });
buildEsm();
await buildCjs();
copyTypes();
