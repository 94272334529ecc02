import type { Argv } from 'yargs';
import { amount } from './amount.ts';
import { duration } from './duration.ts';

const OF_A_VERDICT = ['known-item', 'sample', 'tolerance', 'min-gain', 'pairs', 'pair-limit', 'threshold', 'output'];

/** What `evaluate` takes about the shadow's log, and about a monitor. */
export function shadowFlags<T>(yargs: Argv<T>) {
  const text = { type: 'string', requiresArg: true } as const;
  return (
    yargs
      // Without a default: yargs takes one for a flag that was given.
      .option('from-shadow', { type: 'boolean', describe: 'Report what the shadow of searches logged' })
      .option('monitor', {
        ...text,
        coerce: duration('monitor'),
        describe: 'Ask both sides for that long, e.g. 10m, and report how far they agree',
      })
      .option('min-overlap', {
        ...text,
        coerce: amount('min-overlap', 0, 1),
        describe: 'The overlap that --from-shadow and --monitor must reach',
      })
      .check(({ 'min-overlap': least, 'from-shadow': fromShadow, monitor }) => {
        if (least === undefined || fromShadow === true || monitor !== undefined) return true;
        throw new Error('--min-overlap asks something of --from-shadow or --monitor, neither is given');
      })
      .conflicts('from-shadow', ['monitor', 'queries', ...OF_A_VERDICT])
      .conflicts('monitor', OF_A_VERDICT)
  );
}
