import { resolve } from 'node:path';
import { adapterSummary } from '../../../reports/adapter-report.ts';
import { defineCommand } from '../../command.ts';
import { registryFlags, registryOf } from './registry-flags.ts';

/** `reembed adapter import <file>`: takes over what `adapter export` has written, after checking all of it. */
export const importAdapter = defineCommand({
  usage: 'import <file>',
  describe: 'Register a projection that was exported elsewhere',
  flags: (yargs) =>
    registryFlags(yargs).positional('file', {
      type: 'string',
      demandOption: true,
      describe: 'What export has written',
    }),
  run: async (flags, cli) => {
    const registry = await registryOf(flags, cli);
    const { entry, added } = await registry.importFrom(resolve(cli.cwd, flags.file));
    const what = added ? `Registered ${entry.id} in ${registry.dir}` : `${entry.id} is registered already`;
    cli.output.result({ added, projection: entry }, `${what}: ${adapterSummary(entry)}`);
    return 0;
  },
});
