import type { RouteResult } from '../../steps/route.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed route`: which share of the requests the new vectors serve. */
export const route = defineCommand({
  usage: 'route [percent]',
  describe: 'Show or set the share of searches in mode "route" that the new vectors serve',
  flags: (yargs) =>
    migrationFlags(yargs).positional('percent', {
      type: 'string',
      coerce: shareOf,
      describe: '0 to 100; "off" leaves all to the active model. Shows what is set without it',
    }),
  run: async (flags, cli) => {
    const { readRoute, setRoute } = await import('../../steps/route.ts');
    const { percent } = flags;
    const result = await withMigration(flags, cli, (ctx) =>
      percent === undefined ? readRoute(ctx) : setRoute(ctx, percent),
    );
    cli.output.result(result, describe(result));
    return 0;
  },
});

/** Undefined where nothing is said, null for `off`. */
function shareOf(text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === 'off') return null;
  const percent = /^\d+(?:\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (percent <= 100) return percent;
  throw new Error(`percent is a number from 0 to 100 or "off", got "${text}"`);
}

function describe({ percent, active, hasOld }: RouteResult): string {
  if (!hasOld) return 'The old vectors were dropped: mode "route" serves the new ones, whatever share is set.';
  if (percent === null) return `No share is set: mode "route" serves the ${active} vectors, which are the active ones.`;
  const rest = percent === 100 ? '' : `, the ${active === 'old' ? 'old' : 'kept old'} ones all others`;
  return `In mode "route" the new vectors serve ${percent}% of the requests${rest}. Running clients follow with their next request.`;
}
