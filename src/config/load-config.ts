import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import { parseMigration } from './define-migration.ts';
import type { Environment } from './env-values.ts';
import { importModule } from './import-module.ts';
import { invalidConfig } from './problems.ts';
import { overridesOf } from './reference-env.ts';
import { loadRuntimeSettings } from './runtime.ts';
import type { MigrationDefinition, RuntimeSettings } from './types.ts';

const FILE_NAMES = ['ts', 'mts', 'js', 'mjs', 'cjs'].map((extension) => `reembed.config.${extension}`);

export interface LoadConfigOptions {
  /** Where `reembed.config.*` is looked for; the working directory unless given. */
  readonly cwd?: string;
  /** The file itself, relative to `cwd`. */
  readonly file?: string | undefined;
  /** Which migration; needed when the file holds several. */
  readonly migrationId?: string | undefined;
  readonly env?: Environment;
}

export interface LoadedConfig {
  /** The file that was read, absolute. */
  readonly file: string;
  readonly definitions: readonly MigrationDefinition[];
  readonly selected: MigrationDefinition;
  /** Variables of the environment that override what the file pins; only this repository's own file lets them. */
  readonly overriddenBy: readonly string[];
  readonly runtime: RuntimeSettings;
}

/**
 * Reads the migrations of `reembed.config.*` and the environment, and picks one migration.
 *
 * @throws ConfigError `config_missing`, `config_unreadable`, `config_invalid`, `migration_unknown`, `migration_not_chosen`
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  const { cwd = process.cwd(), env = process.env } = options;
  const { file, definitions, overriddenBy } = await loadDefinitions(options);
  const runtime = loadRuntimeSettings(env, cwd);
  const selected = selectMigration(definitions, options.migrationId, relative(cwd, file));
  return { file, definitions, selected, overriddenBy, runtime };
}

/** The migrations of `reembed.config.*`, all of them checked. @throws ConfigError as `loadConfig` */
export async function loadDefinitions(
  options: Pick<LoadConfigOptions, 'cwd' | 'file'> = {},
): Promise<Pick<LoadedConfig, 'file' | 'definitions' | 'overriddenBy'>> {
  const { cwd = process.cwd() } = options;
  const file = findConfigFile(cwd, options.file);
  const exported = await importModule(file);
  const name = relative(cwd, file);
  if (exported === undefined || (Array.isArray(exported) && exported.length === 0)) {
    throw new ConfigError('config_invalid', `${name} exports no migration by default.`, {
      step: 'configuration',
      hint: 'Write "export default defineMigration({ … })", or a list of migrations; docs/configuration.md has an example.',
    });
  }
  const inputs: readonly unknown[] = Array.isArray(exported) ? exported : [exported];
  const definitions = inputs.map((input) => parseMigration(input, `${name}: migration`));
  assertDistinct(definitions, name);
  return { file, definitions, overriddenBy: [...new Set(inputs.flatMap(overridesOf))] };
}

function findConfigFile(cwd: string, file: string | undefined): string {
  const candidates = (file === undefined ? FILE_NAMES : [file]).map((name) => resolve(cwd, name));
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found !== undefined) return found;
  const what =
    file === undefined
      ? `There is no reembed.config.{ts,mts,js,mjs,cjs} in ${cwd}.`
      : `There is no ${join(cwd, file)}.`;
  throw new ConfigError('config_missing', what, {
    step: 'configuration',
    hint: 'Run reembed where that file is, or name it with --config; docs/configuration.md shows one to begin with.',
  });
}

function selectMigration(
  definitions: readonly MigrationDefinition[],
  id: string | undefined,
  file: string,
): MigrationDefinition {
  const ids = definitions.map((definition) => definition.id).join(', ');
  const [first, ...others] = definitions;
  if (id === undefined && first !== undefined && others.length === 0) return first;
  const found = definitions.find((definition) => definition.id === id);
  if (found !== undefined) return found;
  const [code, message] =
    id === undefined
      ? ['migration_not_chosen', `${file} holds ${definitions.length} migrations and none was chosen: ${ids}.`]
      : ['migration_unknown', `${file} holds no migration "${id}"; it holds ${ids}.`];
  throw new ConfigError(code, message, {
    step: 'configuration',
    hint: `Add --migration ${first?.id ?? '<id>'}${others.length > 0 ? ', or another of them' : ''}.`,
    context: { migrations: definitions.map((definition) => definition.id) },
  });
}

/** Two migrations may share a table, but not an id, nor the column that they fill. */
function assertDistinct(definitions: readonly MigrationDefinition[], file: string): void {
  const problems = definitions.flatMap((definition, position) => {
    const earlier = definitions.slice(0, position);
    if (earlier.some((other) => other.id === definition.id)) {
      return [{ name: 'id', message: `is "${definition.id}" twice, expected one of its own for each migration` }];
    }
    const rival = earlier.find((other) => targetKey(other) === targetKey(definition));
    if (rival === undefined) return [];
    const message = `is "${definition.target}" in "${rival.id}" and in "${definition.id}", expected one migration a column`;
    return [{ name: 'target', message }];
  });
  if (problems.length > 0) throw invalidConfig(file, problems, 'Correct reembed.config.');
}

function targetKey(definition: MigrationDefinition): string {
  return JSON.stringify([definition.table.schema ?? null, definition.table.name, definition.target]);
}
