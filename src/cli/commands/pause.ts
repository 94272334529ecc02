import { defineCommand, migrationFlags } from '../command.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed pause`: a backfill holds until `reembed resume`. */
export const pause = defineCommand({
  usage: 'pause',
  describe: 'Let the backfill hold until "resume"',
  flags: migrationFlags,
  run: async (flags, cli) => {
    const steps = await import('../../steps/pause.ts');
    const result = await withMigration(flags, cli, (ctx) => steps.pause(ctx));
    const { by, at } = result.pause;
    const now =
      result.holder === null ? 'Nobody is at work now' : `${result.holder} writes what is embedded, and holds`;
    cli.output.result(result, `Paused by ${by} since ${at}. ${now}; "reembed resume" goes on.`);
    return 0;
  },
});
