import { defineCommand, migrationFlags } from '../command.ts';
import { recreateViewsFlag, recreatingViews } from '../recreate-views-flag.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed rollback`: what the down of 007 does. */
export const rollback = defineCommand({
  usage: 'rollback',
  describe: 'Exchange the columns back, while the old one is kept',
  flags: (yargs) => recreateViewsFlag(migrationFlags(yargs)),
  run: async (flags, cli) => {
    const { undoCutOver } = await import('../../steps/undo-cut-over.ts');
    const result = await withMigration(flags, cli, (ctx) => undoCutOver(recreatingViews(ctx, flags)));
    const back = 'The application reads the old vectors again; its writers must return to the old model now.';
    cli.output.result(result, result.changed ? back : 'Nothing to do: the migration is not swapped.');
    return 0;
  },
});
