import type { Command } from '../command.ts';
import { subcommands } from './adapter/index.ts';

/** `reembed adapter <subcommand>`: maps between the spaces of two models, from their training to their use. */
export const adapter: Command = (yargs, choose) => {
  yargs.command('adapter', 'Train, list, share and apply maps between two embedding models', (own) => {
    for (const subcommand of subcommands) subcommand(own, choose);
    const missing = 'adapter needs a subcommand: "reembed adapter --help" lists them.';
    return own.demandCommand(2, 2, missing, 'One subcommand at a time.');
  });
};
