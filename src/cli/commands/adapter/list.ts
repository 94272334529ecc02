import { adapterList } from '../../../reports/adapter-report.ts';
import { defineCommand } from '../../command.ts';
import { registryFlags, registryOf } from './registry-flags.ts';

/** `reembed adapter list`: what is registered, with what it loses. */
export const listAdapters = defineCommand({
  usage: 'list',
  describe: 'List the projections with what they lose',
  flags: (yargs) => registryFlags(yargs),
  run: async (flags, cli) => {
    const registry = await registryOf(flags, cli);
    const projections = await registry.list();
    cli.output.result({ dir: registry.dir, projections }, adapterList(registry.dir, projections));
    return 0;
  },
});
