import type { Argv } from 'yargs';
import type { GlobalFlags } from './command.ts';

export interface LedgerFlags extends GlobalFlags {
  readonly knexfile: string | undefined;
  readonly env: string | undefined;
  readonly to: string | undefined;
}

export function ledgerFlags(yargs: Argv<GlobalFlags>) {
  return yargs
    .option('knexfile', {
      type: 'string',
      requiresArg: true,
      describe: 'The knexfile',
      defaultDescription: 'knexfile.*',
    })
    .option('env', {
      type: 'string',
      describe: 'Which environment of the knexfile',
      defaultDescription: 'development',
    });
}
