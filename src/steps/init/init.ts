import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineMigration, type MigrationInput } from '../../config/define-migration.ts';
import { knownDimensions } from '../../config/known-dimensions.ts';
import { type ConfigProblem, invalidConfig } from '../../config/problems.ts';
import type { ProviderName } from '../../config/types.ts';
import type { Queryable } from '../../db/types.ts';
import { ConfigError } from '../../errors.ts';
import { makeId, nextPrefixes } from './file-names.ts';
import { type FoundColumns, findColumns } from './find-columns.ts';
import { makeFiles } from './make-files.ts';
import { type Language, readProjectStyle } from './project-style.ts';
import { listMigrations, writeNewFiles } from './write-files.ts';

/** Where and how files are written. */
export interface InitPlace {
  /** The project; the working directory unless given. */
  readonly cwd?: string | undefined;
  /** Of the migrations, relative to it (`migrations`). */
  readonly directory?: string | undefined;
  /** TypeScript, ES modules or CommonJS; as the project has it unless given. */
  readonly language?: Language | undefined;
  /** A fourth migration, which drops the old column once `retentionDays` are over. */
  readonly dropOld?: boolean | undefined;
}

export interface InitOptions extends InitPlace {
  readonly id?: string | undefined;
  readonly table?: string | undefined;
  readonly text?: string | undefined;
  readonly column?: string | undefined;
  readonly provider?: ProviderName | undefined;
  readonly model?: string | undefined;
  readonly dimensions?: number | undefined;
  /** The model of the vectors that are there, where it is known. */
  readonly from?: string | undefined;
  /** Asked for what is not given. */
  readonly db?: Queryable | undefined;
}

export interface InitResult {
  readonly id: string;
  /** What was written, relative to the project, the configuration first. */
  readonly files: readonly string[];
  /** The next commands. */
  readonly next: readonly string[];
}

/**
 * Writes a starting configuration and the thin migration files of a table. What is not given is asked of the database, and taken where there
 * is one answer only; a model is never guessed.
 *
 * @throws ConfigError `config_invalid` naming all that is missing, `config_exists`, `file_exists`
 */
export async function init(options: InitOptions): Promise<InitResult> {
  const { cwd = process.cwd() } = options;
  refuseSecondConfig(cwd);
  const found = options.db === undefined ? undefined : await findColumns(options.db, pick(options));
  const input = completeInput(options, found);
  return writeMigration(input, options, 'reembed.config');
}

/** The configuration and its migrations, under the next numbers. */
export async function writeMigration(input: MigrationInput, place: InitPlace, config: string): Promise<InitResult> {
  const { cwd = process.cwd(), directory = 'migrations' } = place;
  // Refuses what the configuration itself would refuse, before anything is written.
  defineMigration(input);
  const style = readProjectStyle(cwd, directory, place.language);
  const prefixes = nextPrefixes(listMigrations(cwd, directory), place.dropOld === true ? 4 : 3, new Date());
  const files = makeFiles({ style, input, config, directory, prefixes });
  await writeNewFiles(cwd, files, 'Remove or rename it, or choose another --directory or --id.');
  const flag = config === 'reembed.config' ? '' : ` --config ${config}.${style.extension}`;
  return {
    id: input.id,
    files: files.map((file) => file.path),
    next: [`npx reembed doctor${flag}`, `npx reembed plan${flag}`, 'npx knex migrate:latest'],
  };
}

function pick({ table, column }: InitOptions) {
  return { table, column };
}

function refuseSecondConfig(cwd: string): void {
  const there = ['ts', 'mts', 'js', 'mjs', 'cjs']
    .map((end) => `reembed.config.${end}`)
    .find((name) => existsSync(join(cwd, name)));
  if (there === undefined) return;
  throw new ConfigError('config_exists', `${there} is there already and is not written over.`, {
    step: 'configuration',
    hint: 'Add the next migration to it (a list may be exported), or prepare the way back with "reembed init --reverse".',
    context: { file: there },
  });
}

function completeInput(options: InitOptions, found: FoundColumns | undefined): MigrationInput {
  const table = options.table ?? found?.table;
  const column = options.column ?? found?.column;
  const text = options.text ?? found?.text;
  const { model } = options;
  const dimensions = options.dimensions ?? (model === undefined ? undefined : knownDimensions(model));
  const choices = (names: readonly string[] = []): string =>
    names.length === 0 ? '' : `; there are ${[...new Set(names)].join(', ')}`;
  const problems: ConfigProblem[] = [];
  const missing = (name: string, what: string): void =>
    void problems.push({ name, message: `is missing, expected ${what}` });
  // With all else given, the table may be one that is still to come.
  const unknown = found?.isThere === false && (column === undefined || text === undefined);
  if (unknown)
    problems.push({
      name: '--table',
      message: `is ${table}, of which the database knows no vector column${choices(found.vectors)}`,
    });
  if (table === undefined) missing('--table', `the table with the vectors${choices(found?.vectors)}`);
  if (column === undefined) missing('--column', `its vector column${unknown ? '' : choices(found?.vectors)}`);
  if (text === undefined) missing('--text', `the column whose text is embedded${choices(found?.texts)}`);
  if (model === undefined) missing('--model', 'the new model, such as BAAI/bge-small-en-v1.5 (docs/choosing.md)');
  else if (dimensions === undefined) missing('--dimensions', `how many ${model} makes`);
  if (
    table === undefined ||
    column === undefined ||
    text === undefined ||
    model === undefined ||
    dimensions === undefined
  ) {
    const asked = found === undefined ? ' With DATABASE_URL set, the database is asked for tables and columns.' : '';
    throw invalidConfig('The command line', problems, `Give the flags that are named.${asked}`);
  }
  const lastPart = (name: string): string => name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('.')) + 1);
  return {
    id: options.id ?? makeId([lastPart(table), model.slice(model.lastIndexOf('/') + 1)]),
    table,
    text,
    column,
    ...(options.provider !== undefined && { provider: options.provider }),
    model,
    dimensions,
    ...oldModel(options.from, found?.dimensions),
  };
}

function oldModel(model: string | undefined, dimensions: number | undefined): Pick<MigrationInput, 'from'> {
  if (model === undefined) return {};
  const known = dimensions ?? knownDimensions(model);
  if (known !== undefined) return { from: { model, dimensions: known } };
  throw invalidConfig(
    'The command line',
    [
      {
        name: '--from',
        message: `is ${model}, whose dimensions are not known; expected DATABASE_URL to be set, which tells them`,
      },
    ],
    'Set DATABASE_URL, or add "from" to the configuration by hand.',
  );
}
