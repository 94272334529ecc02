import { defineCommand } from '../command.ts';
import { ledgerFlags, runLedger } from '../run-ledger.ts';

/** `reembed up`: pending migrations, in the ledger of `npx knex`. */
export const up = defineCommand({
  usage: 'up',
  describe: 'Run the pending knex migrations',
  flags: (yargs) =>
    ledgerFlags(yargs).option('to', {
      type: 'string',
      requiresArg: true,
      describe: 'The last one to run, e.g. 006',
      defaultDescription: 'all',
    }),
  run: (flags, cli) => runLedger('up', flags, cli),
});
