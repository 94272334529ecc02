import { adapterSummary } from '../../../reports/adapter-report.ts';
import { defineCommand } from '../../command.ts';
import { registryFlags, registryOf } from './registry-flags.ts';

/** `reembed adapter compose <A→B> <B→C>`: two projections as one, A→C. */
export const composeAdapters = defineCommand({
  usage: 'compose <first> <second>',
  describe: 'Make one projection of two that lead to its target one behind the other',
  flags: (yargs) =>
    registryFlags(yargs)
      .positional('first', { type: 'string', demandOption: true, describe: 'A→B' })
      .positional('second', { type: 'string', demandOption: true, describe: 'B→C' }),
  run: async (flags, cli) => {
    const { composeProjections } = await import('../../../adapters/compose.ts');
    const registry = await registryOf(flags, cli);
    const [first, second] = [await registry.load(flags.first), await registry.load(flags.second)];
    const composed = await composeProjections(first, second);
    const entry = await registry.add(composed.entry, composed.projection);
    const text = `Registered ${entry.id} in ${registry.dir}: ${adapterSummary(entry)}`;
    cli.output.result({ projection: { ...entry, metrics: entry.metrics ?? null } }, text);
    return 0;
  },
});
