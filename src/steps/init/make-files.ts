import { join, relative } from 'node:path';
import type { MigrationInput } from '../../config/define-migration.ts';
import type { QualifiedName } from '../../config/types.ts';
import type { ProjectStyle } from './project-style.ts';

export interface NewFile {
  /** Relative to the project. */
  readonly path: string;
  readonly content: string;
}

/** The factories in the order of their migrations, and how their files are named. */
const FACTORIES = [
  ['addEmbedding', 'add'],
  ['backfillEmbedding', 'backfill'],
  ['swapEmbedding', 'swap'],
  ['dropOldEmbedding', 'drop_old'],
] as const;

export interface FilesOptions {
  readonly style: ProjectStyle;
  readonly input: MigrationInput;
  /** Of the configuration, relative to the project, without its ending. */
  readonly config: string;
  readonly directory: string;
  /** One a migration; the fourth drops the old column. */
  readonly prefixes: readonly string[];
}

/** The configuration and a thin file for each migration. */
export function makeFiles({ style, input, config, directory, prefixes }: FilesOptions): NewFile[] {
  const name = input.column.replaceAll(/[^A-Za-z0-9]+/g, '_');
  const from = relative(directory, `${config}.${style.importedAs}`).replaceAll('\\', '/');
  const imported = from.startsWith('.') ? from : `./${from}`;
  return [
    { path: `${config}.${style.extension}`, content: configFile(style, input) },
    ...prefixes.map((prefix, i) => {
      const [factory, verb] = FACTORIES[i] ?? FACTORIES[0];
      const path = join(directory, `${prefix}_${verb}_${name}_${input.dimensions}.${style.extension}`);
      return { path, content: migrationFile(style, factory, imported) };
    }),
  ];
}

function configFile({ language }: ProjectStyle, input: MigrationInput): string {
  const fields = Object.entries(input)
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => `  ${field}: ${literal(field === 'table' ? tableText(input.table) : value)},\n`);
  const call = `defineMigration({\n${fields.join('')}});\n`;
  return language === 'cjs'
    ? `const { defineMigration } = require('reembed');\n\nmodule.exports = ${call}`
    : `import { defineMigration } from 'reembed';\n\nexport default ${call}`;
}

function migrationFile({ language }: ProjectStyle, factory: string, config: string): string {
  return language === 'cjs'
    ? `module.exports = require('reembed/migrations').${factory}(require('${config}'));\n`
    : `import { ${factory} } from 'reembed/migrations';\nimport migration from '${config}';\n\nexport const { up, down, config } = ${factory}(migration);\n`;
}

/** As a person would write it; an object on one line. */
function literal(value: unknown): string {
  if (typeof value === 'string') return `'${value.replaceAll(/[\\']/g, '\\$&').replaceAll('\n', '\\n')}'`;
  if (typeof value !== 'object' || value === null) return String(value);
  const fields = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{ ${fields.map(([field, each]) => `${field}: ${literal(each)}`).join(', ')} }`;
}

function tableText(table: string | QualifiedName): string {
  if (typeof table === 'string') return table;
  const quoted = (name: string): string => (/[".]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);
  return table.schema === undefined ? quoted(table.name) : `${quoted(table.schema)}.${quoted(table.name)}`;
}
