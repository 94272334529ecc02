import type { ArgumentsCamelCase, Argv } from 'yargs';
import { PROVIDERS } from '../../config/provider-names.ts';
import type { InitOptions, InitPlace, InitResult } from '../../steps/init/init.ts';
import { type Cli, defineCommand, type GlobalFlags, migrationFlags } from '../command.ts';
import { wholeNumber } from '../whole-number.ts';
import { withMigration } from '../with-migration.ts';

const LANGUAGES = ['ts', 'js', 'cjs'] as const;

/** `reembed init`: a configuration and its migration files; with `--reverse` those of the way back. */
export const init = defineCommand({
  usage: 'init',
  describe: 'Write the configuration and the migration files; --reverse: those of the way back',
  flags: initFlags,
  run: async (flags, cli) => {
    const result = await (flags.reverse ? reverse(flags, cli) : forward(flags, cli));
    cli.output.result(result, describe(result));
    return 0;
  },
});

type InitFlags = ReturnType<typeof initFlags> extends Argv<infer Flags> ? Flags : never;

function initFlags(yargs: Argv<GlobalFlags>) {
  const text = (describe: string) => ({ type: 'string', requiresArg: true, describe }) as const;
  const flag = (describe: string) => ({ type: 'boolean', default: false, describe }) as const;
  return migrationFlags(yargs)
    .option('table', text('The table, as segments or app.segments'))
    .option('text', text('The column whose text is embedded'))
    .option('column', text('The vector column that the application uses'))
    .option('provider', { choices: PROVIDERS, requiresArg: true, describe: 'Where the model runs' })
    .option('model', text('The new model; with --reverse the old one'))
    .option('dimensions', { ...text('How many it makes'), coerce: wholeNumber('dimensions', 1) })
    .option('from', text('The model of the vectors that are there'))
    .option('id', text("The migration's id"))
    .option('directory', { ...text('Of the migrations'), defaultDescription: 'migrations' })
    .option('ts', flag('TypeScript, whatever the project has'))
    .option('js', flag('ES modules'))
    .option('cjs', flag('CommonJS'))
    .option('drop-old', flag('A fourth migration, which drops the old column after retentionDays'))
    .option('reverse', flag('Go back to the old model by a migration of its own'))
    .check(({ ts, js, cjs, reverse, table, text: textColumn, column, from, provider }) => {
      if ([ts, js, cjs].filter(Boolean).length > 1) throw new Error('--ts, --js and --cjs exclude each other');
      const forward = Object.entries({ table, text: textColumn, column, from, provider });
      const extra = reverse ? forward.find(([, value]) => value !== undefined) : undefined;
      if (extra !== undefined) throw new Error(`--${extra[0]} does not go with --reverse`);
      return true;
    });
}

function placeOf(flags: ArgumentsCamelCase<InitFlags>, cwd: string): InitPlace {
  const language = LANGUAGES.find((name) => flags[name]);
  return { cwd, directory: flags.directory, language, dropOld: flags.dropOld };
}

async function forward(flags: ArgumentsCamelCase<InitFlags>, { cwd }: Cli): Promise<InitResult> {
  const { init: initProject } = await import('../../steps/init/init.ts');
  const { loadRuntimeSettings } = await import('../../config/runtime.ts');
  const { id, table, text, column, provider, model, dimensions, from } = flags;
  const given = { id, table, text, column, provider, model, dimensions, from };
  const options: InitOptions = { ...placeOf(flags, cwd), ...given };
  const runtime = loadRuntimeSettings(process.env, cwd);
  if (runtime.databaseUrl === undefined) return initProject(options);
  const { openConfigured } = await import('../../steps/open-migration.ts');
  const { db, close } = await openConfigured(runtime);
  try {
    return await initProject({ ...options, db });
  } finally {
    await close();
  }
}

async function reverse(flags: ArgumentsCamelCase<InitFlags>, cli: Cli): Promise<InitResult> {
  const { initReverse } = await import('../../steps/init/init-reverse.ts');
  const { id, model, dimensions } = flags;
  return withMigration(flags, cli, (ctx, { definitions }) =>
    initReverse(ctx, {
      ...placeOf(flags, cli.cwd),
      id,
      model,
      dimensions,
      taken: definitions.map((definition) => definition.id),
    }),
  );
}

/** Of the migrations as messages and documents name them, behind the configuration. */
const NUMBERS = [undefined, '005', '006', '007'];

function describe({ id, files, next }: InitResult): string {
  const called = (i: number): string => (NUMBERS[i] === undefined ? '' : `  (${NUMBERS[i]} in messages and docs)`);
  const written = files.map((file, i) => `  ${file}${called(i)}`).join('\n');
  return `Wrote the migration "${id}":\n${written}\n\nNext:\n${next.map((command) => `  ${command}`).join('\n')}`;
}
