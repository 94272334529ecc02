import { plural } from '../../plural.ts';
import type { RestoreResult } from '../../steps/restore.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { count } from '../text.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed restore`: writes the vectors of a backup back, byte for byte. */
export const restore = defineCommand({
  usage: 'restore <file>',
  describe: "Write a backup's vectors back, byte for byte",
  flags: (yargs) =>
    migrationFlags(yargs)
      .positional('file', { type: 'string', demandOption: true, describe: 'The backup' })
      .option('into', { type: 'string', requiresArg: true, describe: 'The column to write' })
      .option('dry-run', { type: 'boolean', default: false, describe: 'Check and count, change nothing' })
      .option('include-edited', {
        type: 'boolean',
        default: false,
        describe: 'Also rows whose text was edited since the backup',
      }),
  run: async (flags, cli) => {
    const { restore: restoreMigration } = await import('../../steps/restore.ts');
    const { file: path, into, dryRun, includeEdited } = flags;
    const result = await withMigration(flags, cli, (ctx) =>
      restoreMigration(ctx, { path, into, dryRun, includeEdited }),
    );
    cli.output.result(result, describe(result));
    return 0;
  },
});

function describe(result: RestoreResult): string {
  const { table, column, restored, edited, gone, dryRun } = result;
  const lines = [`${count(restored, 'row')} of ${table}.${column} ${dryRun ? 'would be restored' : 'restored'}.`];
  if (edited > 0)
    lines.push(`${count(edited, 'row')} had ${plural(edited, 'its text', 'their texts')} edited since the backup.`);
  if (gone > 0) lines.push(`${count(gone, 'row')} of the backup ${plural(gone, 'was', 'were')} deleted since.`);
  if (result.new > 0)
    lines.push(`${count(result.new, 'row')} of the table ${plural(result.new, 'is', 'are')} newer than the backup.`);
  return lines.join('\n');
}
