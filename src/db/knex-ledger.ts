import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Knex } from 'knex';
import { importModule } from '../config/import-module.ts';
import { ConfigError, messageOf, ReembedError } from '../errors.ts';

const FILE_NAMES = ['ts', 'mts', 'js', 'mjs', 'cjs'].map((extension) => `knexfile.${extension}`);

export interface OpenLedgerOptions {
  readonly cwd: string;
  /** The knexfile, relative to `cwd`; `knexfile.{ts,mts,js,mjs,cjs}` unless given. */
  readonly file?: string | undefined;
  /** Which of the knexfile's environments, where it has several; `development` as in knex. */
  readonly environment?: string | undefined;
  /** Where knex's own messages go; knex itself would print them on stdout. */
  readonly onMessage: (message: string) => void;
}

/** The ledger that `npx knex` keeps, opened with the same knexfile. */
export interface Ledger {
  readonly knex: Knex;
  /** The ledger's table; its lock is `<tableName>_lock`. */
  readonly tableName: string;
  /** The schema of both, where the knexfile names one. */
  readonly schemaName: string | undefined;
  /** In the order in which they run. */
  list(): Promise<{ readonly completed: readonly string[]; readonly pending: readonly string[] }>;
  /** Runs the next pending migration. @returns its name, undefined when there was none */
  up(): Promise<string | undefined>;
  /** Undoes the last completed migration. @returns its name, undefined when there was none */
  down(): Promise<string | undefined>;
  close(): Promise<void>;
}

/**
 * Loads the project's knexfile (an object, a function, or several environments) and its own knex.
 *
 * @throws ConfigError `knexfile_missing`, `knexfile_invalid`, `knex_missing`; whatever a knexfile's function throws on purpose
 */
export async function openLedger(options: OpenLedgerOptions): Promise<Ledger> {
  const file = findKnexfile(options);
  const config = pinned(await readKnexfile(file, options.environment), dirname(file), options.onMessage);
  const knex = (await importKnex(file))(config);
  const source = config.migrations?.migrationSource;
  const nameOf = (migration: unknown): string =>
    source === undefined ? nameOfFile(migration) : source.getMigrationName(migration);
  return {
    knex,
    tableName: config.migrations?.tableName ?? 'knex_migrations',
    schemaName: config.migrations?.schemaName,
    async list() {
      const [completed, pending]: [unknown[], unknown[]] = await knex.migrate.list();
      return { completed: completed.map(nameOfFile), pending: pending.map(nameOf) };
    },
    up: async () => firstName(await knex.migrate.up()),
    down: async () => firstName(await knex.migrate.down()),
    close: () => knex.destroy(),
  };
}

function findKnexfile({ cwd, file }: OpenLedgerOptions): string {
  const candidates = (file === undefined ? FILE_NAMES : [file]).map((name) => resolve(cwd, name));
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found !== undefined) return found;
  const what = file === undefined ? `knexfile.{ts,mts,js,mjs,cjs} in ${cwd}` : join(cwd, file);
  throw new ConfigError('knexfile_missing', `There is no ${what}.`, {
    step: 'configuration',
    hint: 'Run reembed where your knexfile is, or name it with --knexfile.',
  });
}

async function readKnexfile(file: string, environment: string | undefined): Promise<Knex.Config> {
  const exported = await importModule(file);
  let config: unknown;
  try {
    config = typeof exported === 'function' ? await exported() : exported;
  } catch (error) {
    if (error instanceof ReembedError) throw error;
    throw invalid(file, `failed: ${messageOf(error)}`, error);
  }
  if (isRecord(config) && !('client' in config)) config = chooseEnvironment(file, config, environment ?? 'development');
  if (!isRecord(config)) throw invalid(file, 'has no configuration as its default export');
  return config as Knex.Config;
}

function chooseEnvironment(file: string, environments: Readonly<Record<string, unknown>>, name: string): unknown {
  const chosen = environments[name];
  if (chosen !== undefined) return chosen;
  throw invalid(file, `has no environment "${name}"; it has ${Object.keys(environments).join(', ') || 'none'}`);
}

/** knex reads directories relative to the working directory, its command changes into the knexfile's: the same without moving. */
function pinned(config: Knex.Config, directory: string, onMessage: (message: string) => void): Knex.Config {
  const { directory: own = './migrations', ...migrations } = config.migrations ?? {};
  const absolute = typeof own === 'string' ? resolve(directory, own) : own.map((each) => resolve(directory, each));
  const say = (message: unknown): void => onMessage(typeof message === 'string' ? message : messageOf(message));
  return {
    log: {
      warn: say,
      error: say,
      deprecate: (method, alternative) => say(`${method} is deprecated, use ${alternative}`),
    },
    ...config,
    migrations: migrations.migrationSource === undefined ? { ...migrations, directory: absolute } : migrations,
  };
}

/** The project's own knex, so that both commands write the ledger in the same way. */
async function importKnex(file: string): Promise<(config: Knex.Config) => Knex> {
  try {
    const path = createRequire(file).resolve('knex');
    const { default: knex } = (await import(pathToFileURL(path).href)) as typeof import('knex');
    return knex.knex;
  } catch (error) {
    throw new ConfigError('knex_missing', `The project of ${file} has no knex: ${messageOf(error)}`, {
      step: 'configuration',
      hint: 'Install it there: npm i knex pg',
      cause: error,
    });
  }
}

function nameOfFile(migration: unknown): string {
  if (typeof migration === 'string') return migration;
  if (isRecord(migration) && typeof migration.name === 'string') return migration.name;
  if (isRecord(migration) && typeof migration.file === 'string') return migration.file;
  return String(migration);
}

/** What knex's up and down resolve to: `[batch, names]`. */
function firstName(result: unknown): string | undefined {
  const names: unknown = Array.isArray(result) ? result[1] : undefined;
  const first: unknown = Array.isArray(names) ? names[0] : undefined;
  return first === undefined ? undefined : nameOfFile(first);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function invalid(file: string, what: string, cause?: unknown): ConfigError {
  return new ConfigError('knexfile_invalid', `${file} ${what}.`, {
    step: 'configuration',
    hint: 'Correct the knexfile; "npx knex migrate:list" reads the same one.',
    cause,
  });
}
