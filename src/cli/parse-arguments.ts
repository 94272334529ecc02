import yargs from 'yargs';
import { ConfigError } from '../errors.ts';
import type { Chosen } from './command.ts';
import { commands } from './commands/index.ts';

const EXIT_CODES =
  'Exit codes: 0 done, 1 refused or failed, 2 bad usage or configuration, 3 inconclusive, 130 interrupted.';

/**
 * What the arguments ask for; undefined when help or the version was printed.
 *
 * @throws ConfigError `usage` that names every problem at once
 */
export async function parseArguments(argv: readonly string[], version: string): Promise<Chosen | undefined> {
  let chosen: Chosen | undefined;
  const problems: string[] = [];
  const parser = yargs([])
    .scriptName('reembed')
    .usage('$0 <command>\n\nMoves a Postgres/pgvector table from one embedding model to another.')
    .option('json', { type: 'boolean', default: false, describe: 'The result as one JSON document on stdout' })
    .option('verbose', { type: 'boolean', default: false, describe: 'Show where an error happened' })
    .parserConfiguration({ 'duplicate-arguments-array': false })
    .version(version)
    .help()
    .alias('help', 'h')
    .epilogue(`${EXIT_CODES}\nSettings: docs/configuration.md. DATABASE_URL names the database.`)
    .strict()
    .demandCommand(1, 1, 'A command is missing.', 'One command at a time.')
    .recommendCommands()
    .wrap(Math.min(120, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail(
      (message: string | null, error: Error | undefined) => void problems.push(error?.message ?? message ?? 'unknown'),
    );
  for (const command of commands) command(parser, (run) => (chosen = run));
  let printed = '';
  await parser.parseAsync([...argv], {}, (_error, _argv, output) => {
    printed = output;
  });
  if (problems.length > 0) throw usageError(problems);
  if (printed !== '') process.stdout.write(`${printed}\n`);
  else if (chosen === undefined) throw usageError(['A command is missing.']);
  return printed === '' ? chosen : undefined;
}

function usageError(problems: readonly string[]): ConfigError {
  const distinct = [...new Set(problems.flatMap((problem) => problem.split('\n')))].filter((line) => line !== '');
  return new ConfigError('usage', distinct.join('\n'), {
    step: 'configuration',
    hint: 'Run "reembed --help", or "reembed <command> --help".',
    context: { problems: distinct },
  });
}
