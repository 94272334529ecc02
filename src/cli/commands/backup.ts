import { defineCommand, migrationFlags } from '../command.ts';
import { count } from '../text.ts';
import { withMigration } from '../with-migration.ts';

const SIDES = ['old', 'new'] as const;

/** `reembed backup`: the old or the new vectors in a checksummed file. */
export const backup = defineCommand({
  usage: 'backup',
  describe: 'Write the old or the new vectors into a checksummed file',
  flags: (yargs) =>
    migrationFlags(yargs)
      .option('side', { choices: SIDES, default: 'old', requiresArg: true, describe: 'Which vectors' } as const)
      .option('directory', {
        type: 'string',
        requiresArg: true,
        describe: 'Where to',
        defaultDescription: 'REEMBED_BACKUP, reembed-backups',
      }),
  run: async (flags, cli) => {
    const { backup: backupMigration } = await import('../../steps/finalize.ts');
    const { side, directory } = flags;
    const saved = await withMigration(flags, cli, (ctx) =>
      backupMigration(ctx, { side, directory, reason: 'command' }),
    );
    cli.output.result(saved, `${count(saved.rows, 'row')} of ${saved.column} in ${saved.path}\nsha256 ${saved.sha256}`);
    return 0;
  },
});
