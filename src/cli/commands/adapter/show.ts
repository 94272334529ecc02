import { adapterDetails } from '../../../reports/adapter-report.ts';
import { defineCommand } from '../../command.ts';
import { registryFlags, registryOf } from './registry-flags.ts';

/** `reembed adapter show <id>`: one projection with all its measures. Reads its file too: a changed one is refused. */
export const showAdapter = defineCommand({
  usage: 'show <id>',
  describe: 'Show a projection, its measures, and what they mean',
  flags: (yargs) =>
    registryFlags(yargs).positional('id', { type: 'string', demandOption: true, describe: 'Which projection' }),
  run: async (flags, cli) => {
    const registry = await registryOf(flags, cli);
    const { entry, projection } = await registry.load(flags.id);
    const layers = projection.layers.map(({ input, output, hidden, normalize }) => {
      return { input, output, hidden: hidden?.size ?? null, normalize };
    });
    cli.output.result({ ...entry, metrics: entry.metrics ?? null, layers }, adapterDetails(entry, layers));
    return 0;
  },
});
