import { resolve } from 'node:path';
import { defineCommand } from '../../command.ts';
import { registryFlags, registryOf } from './registry-flags.ts';

/** `reembed adapter export <id>`: one file that `adapter import` takes elsewhere. */
export const exportAdapter = defineCommand({
  usage: 'export <id>',
  describe: 'Write a projection and all that is known of it into one file',
  flags: (yargs) =>
    registryFlags(yargs)
      .positional('id', { type: 'string', demandOption: true, describe: 'Which projection' })
      .option('output', {
        alias: 'o',
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'A new file, or a directory for <id>.safetensors',
      }),
  run: async (flags, cli) => {
    const registry = await registryOf(flags, cli);
    const file = await registry.exportTo(flags.id, resolve(cli.cwd, flags.output));
    const text = `Wrote ${file}. Elsewhere: reembed adapter import ${file.split(/[\\/]/).at(-1)}`;
    cli.output.result({ id: flags.id, file }, text);
    return 0;
  },
});
