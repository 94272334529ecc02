import { defineCommand } from '../../command.ts';
import { registryFlags, registryOf } from './registry-flags.ts';

/** `reembed adapter remove <id>`: the entry, and its file. Vectors that were mapped by it stay what they are. */
export const removeAdapter = defineCommand({
  usage: 'remove <id>',
  describe: 'Delete a projection',
  flags: (yargs) =>
    registryFlags(yargs).positional('id', { type: 'string', demandOption: true, describe: 'Which projection' }),
  run: async (flags, cli) => {
    const registry = await registryOf(flags, cli);
    const removed = await registry.remove(flags.id);
    const text = `Removed ${removed.id} from ${registry.dir}. Rows that it has filled keep their vectors, but cannot be checked against it any more.`;
    cli.output.result({ removed: removed.id, dir: registry.dir }, text);
    return 0;
  },
});
