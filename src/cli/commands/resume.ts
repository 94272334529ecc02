import { defineCommand, migrationFlags } from '../command.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed resume`: ends what `reembed pause` began. */
export const resume = defineCommand({
  usage: 'resume',
  describe: 'Let a paused backfill go on',
  flags: migrationFlags,
  run: async (flags, cli) => {
    const steps = await import('../../steps/pause.ts');
    const result = await withMigration(flags, cli, (ctx) => steps.resume(ctx));
    const next = result.holder === null ? '"reembed backfill" embeds what is pending.' : `${result.holder} goes on.`;
    cli.output.result(result, result.changed ? `Resumed: ${next}` : 'Nothing to do: the migration is not paused.');
    return 0;
  },
});
