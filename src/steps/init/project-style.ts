import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

export type Language = 'ts' | 'js' | 'cjs';

/** How the files of a project are written. */
export interface ProjectStyle {
  readonly language: Language;
  /** The ending of the files, by which Node (and knex) know what they are. */
  readonly extension: 'ts' | 'js' | 'cjs' | 'mjs';
  /** What another file of it is imported as. */
  readonly importedAs: 'ts' | 'js' | 'cjs' | 'mjs';
}

/** TypeScript where the project has it; else what its package.json makes of a `.js` file. */
export function readProjectStyle(cwd: string, directory: string, wanted: Language | undefined): ProjectStyle {
  const isModule = readPackageType(cwd) === 'module';
  const language = wanted ?? (hasTypeScript(cwd, directory) ? 'ts' : isModule ? 'js' : 'cjs');
  if (language === 'ts') return { language, extension: 'ts', importedAs: hasTsx(cwd) ? 'js' : 'ts' };
  const extension = language === 'js' ? (isModule ? 'js' : 'mjs') : isModule ? 'cjs' : 'js';
  return { language, extension, importedAs: extension };
}

function hasTypeScript(cwd: string, directory: string): boolean {
  if (['tsconfig.json', 'knexfile.ts', 'reembed.config.ts'].some((name) => existsSync(join(cwd, name)))) return true;
  const migrations = resolve(cwd, directory);
  return existsSync(migrations) && readdirSync(migrations).some((name) => name.endsWith('.ts'));
}

/** tsx finds `x.ts` behind `./x.js`, as TypeScript itself wants it written; Node alone takes a name as it stands. */
function hasTsx(cwd: string): boolean {
  try {
    createRequire(join(cwd, 'package.json')).resolve('tsx');
    return true;
  } catch {
    return false;
  }
}

function readPackageType(cwd: string): unknown {
  const file = join(cwd, 'package.json');
  if (!existsSync(file)) return undefined;
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'type' in parsed ? parsed.type : undefined;
}
