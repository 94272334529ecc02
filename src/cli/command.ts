import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { Output } from './output.ts';

/** 0 done, 1 refused or failed, 2 bad usage or configuration, 3 inconclusive, 130 interrupted and resumable. */
export type ExitCode = 0 | 1 | 2 | 3 | 130;

/** The flags that every verb takes. */
export interface GlobalFlags {
  readonly json: boolean;
  readonly verbose: boolean;
}

/** The flags of a verb that works on one migration of `reembed.config.*`. */
export interface MigrationFlags extends GlobalFlags {
  readonly config: string | undefined;
  readonly migration: string | undefined;
}

export function migrationFlags(yargs: Argv<GlobalFlags>) {
  return yargs
    .option('config', {
      type: 'string',
      requiresArg: true,
      describe: 'The file with the migrations',
      defaultDescription: 'reembed.config.*',
    })
    .option('migration', {
      type: 'string',
      requiresArg: true,
      describe: 'Which migration, where the file holds several',
    });
}

/** What a verb works with. */
export interface Cli {
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly output: Output;
}

/** A verb ready to run: its flags are parsed. */
export type Chosen = (cli: Cli) => Promise<ExitCode>;

/** A verb of the command line: adds itself to the parser and hands over what is to be run. */
export type Command = (yargs: Argv<GlobalFlags>, choose: (run: Chosen) => void) => void;

export interface CommandSpec<Flags extends GlobalFlags> {
  /** As yargs reads it, positionals included: `restore <file>`. */
  readonly usage: string;
  readonly describe: string;
  readonly flags: (yargs: Argv<GlobalFlags>) => Argv<Flags>;
  /** Imports the library's function itself, so that no verb waits for the modules of all the others. */
  readonly run: (flags: ArgumentsCamelCase<Flags>, cli: Cli) => Promise<ExitCode>;
}

/** Flags, one call and a print: the shape of every verb. Nothing runs while parsing, so that all usage problems are told at once. */
export function defineCommand<Flags extends GlobalFlags>(spec: CommandSpec<Flags>): Command {
  return (yargs, choose) => {
    yargs.command(spec.usage, spec.describe, spec.flags, (flags) => choose((cli) => spec.run(flags, cli)));
  };
}
