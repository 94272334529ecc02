import { defineCommand } from '../command.ts';
import { ledgerFlags } from '../ledger-flags.ts';

/** `reembed down`: undoes completed migrations, in the ledger of `npx knex`. */
export const down = defineCommand({
  usage: 'down',
  describe: 'Undo the last knex migration, or all down to one',
  flags: (yargs) =>
    ledgerFlags(yargs).option('to', {
      type: 'string',
      requiresArg: true,
      describe: 'The last one to undo, it included, e.g. 005',
      defaultDescription: 'only the last',
    }),
  run: async (flags, cli) => {
    const { runLedger } = await import('../run-ledger.ts');
    return runLedger('down', flags, cli);
  },
});
