import { defineCommand, migrationFlags } from '../command.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed finalize`: drops the kept old column. */
export const finalize = defineCommand({
  usage: 'finalize',
  describe: 'Drop the kept old column, after a backup',
  flags: (yargs) =>
    migrationFlags(yargs).option('now', {
      type: 'boolean',
      default: false,
      describe: 'Before retentionDays are over',
    }),
  run: async (flags, cli) => {
    const { finalize: finalizeMigration } = await import('../../steps/finalize.ts');
    const result = await withMigration(flags, cli, (ctx) => finalizeMigration(ctx, { now: flags.now }));
    const saved = result.backup === undefined ? '' : `\nIts backup is ${result.backup.path}.`;
    const done = `The old column is dropped. Its disk space returns with VACUUM FULL or a repack.${saved}`;
    cli.output.result(result, result.changed ? done : 'Nothing to do: the old column was dropped before.');
    return 0;
  },
});
