import type { SyncResult } from '../../steps/sync-run.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { duration } from '../duration.ts';
import { count, looked, number } from '../text.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed sync`: keeps new and kept vectors current beside the application. Stopping it is its normal end: 0. */
export const sync = defineCommand({
  usage: 'sync',
  describe: 'Keep the vectors current while the application writes, before the swap and after it',
  flags: (yargs) =>
    migrationFlags(yargs)
      .option('once', { type: 'boolean', default: false, describe: 'End when nothing is pending' })
      .option('poll', {
        type: 'string',
        requiresArg: true,
        coerce: duration('poll'),
        describe: 'Time between two looks',
        defaultDescription: '5s',
      })
      .option('notify', {
        type: 'boolean',
        default: false,
        describe: "Let the table's writers wake it: one NOTIFY a statement",
      })
      .check(({ once, poll, notify }) => {
        if (once && (poll !== undefined || notify)) throw new Error('--poll and --notify do not go with --once');
        return true;
      }),
  run: async (flags, cli) => {
    const { sync: syncMigration } = await import('../../steps/sync.ts');
    const { once, poll, notify } = flags;
    const options = { once, notify, ...(poll !== undefined && { pollMs: poll }) };
    const result = await withMigration(flags, cli, (ctx) => syncMigration(ctx, options));
    cli.output.result(result, describe(result));
    return 0;
  },
});

const ENDED: Readonly<Record<SyncResult['ended'], string>> = {
  once: '',
  stopped: 'Stopped. ',
  finalized: 'The migration is finalized: sync ends. ',
  undone: 'The migration was undone: sync ends. ',
};

function describe(result: SyncResult): string {
  const { written, writtenOld, pending, missingOld } = result;
  const old = missingOld === null && writtenOld === 0 ? '' : `, ${number(writtenOld)} with the old model`;
  const missing = missingOld === null ? '' : `, ${looked(missingOld)} without an old vector`;
  return `${ENDED[result.ended]}${count(written, 'row')} embedded with the new model${old}; ${looked(pending)} pending${missing}.`;
}
