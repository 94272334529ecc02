import { defineCommand } from '../command.ts';
import { ledgerFlags } from '../ledger-flags.ts';

/** `reembed up`: pending migrations, in the ledger of `npx knex`. */
export const up = defineCommand({
  usage: 'up',
  describe: 'Run the pending knex migrations',
  flags: (yargs) =>
    ledgerFlags(yargs)
      .option('to', {
        type: 'string',
        requiresArg: true,
        describe: 'The last one to run, e.g. 006',
        defaultDescription: 'all',
      })
      .option('adapter', {
        type: 'string',
        requiresArg: true,
        describe: 'Map the old vectors by this projection, or by the best one ("auto")',
        defaultDescription: 'REEMBED_ADAPTER',
      }),
  run: async (flags, cli) => {
    if (flags.adapter !== undefined) {
      const { askForAdapter } = await import('../../config/adapter-env.ts');
      askForAdapter(flags.adapter);
    }
    const { runLedger } = await import('../run-ledger.ts');
    return runLedger('up', flags, cli);
  },
});
