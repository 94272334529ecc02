import type { ListedBackup } from '../../swap/list-backups.ts';
import type { PruneResult } from '../../swap/prune-backups.ts';
import { type Cli, defineCommand, type ExitCode, type MigrationFlags, migrationFlags } from '../command.ts';
import { bytes, count } from '../text.ts';
import { withMigration } from '../with-migration.ts';

const SIDES = ['old', 'new'] as const;

/** `reembed backup`: the old or the new vectors in a checksummed file; the files that there are. */
export const backup = defineCommand({
  usage: 'backup',
  describe: 'Write the old or the new vectors into a checksummed file, or list the files',
  flags: (yargs) =>
    migrationFlags(yargs)
      .option('side', { choices: SIDES, default: 'old', requiresArg: true, describe: 'Which vectors' } as const)
      .option('directory', {
        type: 'string',
        requiresArg: true,
        describe: 'Where to',
        defaultDescription: 'REEMBED_BACKUP, reembed-backups',
      })
      .option('list', { type: 'boolean', default: false, describe: 'Only list the backups of the migration' })
      .option('check', { type: 'boolean', default: false, describe: 'With --list: read every file and compare it' })
      .option('prune', { type: 'boolean', default: false, describe: 'Delete those older than retentionDays' })
      .option('yes', { type: 'boolean', default: false, describe: 'With --prune: really' })
      .option('last-too', {
        type: 'boolean',
        default: false,
        describe: 'With --prune: also the last one of vectors that are gone',
      }),
  run: async (flags, cli) => {
    const { side, directory } = flags;
    if (flags.prune) return prune({ ...flags, directory }, cli);
    if (flags.list) return list({ ...flags, directory }, cli);
    const { backup: backupMigration } = await import('../../steps/finalize.ts');
    const saved = await withMigration(flags, cli, (ctx) =>
      backupMigration(ctx, { side, directory, reason: 'command' }),
    );
    cli.output.result(saved, `${count(saved.rows, 'row')} of ${saved.column} in ${saved.path}\nsha256 ${saved.sha256}`);
    return 0;
  },
});

interface ListFlags extends MigrationFlags {
  readonly directory: string | undefined;
  readonly check: boolean;
}

async function list({ directory, check, ...flags }: ListFlags, cli: Cli): Promise<ExitCode> {
  const { listBackups } = await import('../../swap/list-backups.ts');
  const backups = await withMigration(flags, cli, (ctx) => listBackups(ctx, { directory, check }));
  cli.output.result(backups, backups.length === 0 ? 'There is no backup.' : backups.map(describe).join('\n'));
  return backups.some(({ file }) => file === 'damaged' || file === 'missing') ? 1 : 0;
}

function describe(backup: ListedBackup): string {
  const { path, column, rows, at, ageDays, file, problem } = backup;
  const size = backup.bytes === null ? 'gone' : `${bytes(backup.bytes)}, ${file}`;
  const side = backup.vectors === 'old' || backup.vectors === 'new' ? ` (the ${backup.vectors} vectors)` : '';
  const lines = [
    path,
    `  ${count(rows, 'row')} of ${column}${side}, ${size}; made ${at.slice(0, 16).replace('T', ' ')} UTC, ${count(Math.floor(ageDays), 'day')} ago`,
    `  older than retentionDays: ${backup.olderThanRetention ? 'yes' : 'no'}${backup.recorded ? '' : '; not in the state'}`,
  ];
  return [...lines, ...(problem === null ? [] : [`  ${problem}`])].join('\n');
}

interface PruneFlags extends MigrationFlags {
  readonly directory: string | undefined;
  readonly yes: boolean;
  readonly lastToo: boolean;
}

async function prune({ directory, yes, lastToo, ...flags }: PruneFlags, cli: Cli): Promise<ExitCode> {
  const { pruneBackups } = await import('../../swap/prune-backups.ts');
  const result = await withMigration(flags, cli, (ctx) => pruneBackups(ctx, { directory, confirmed: yes, lastToo }));
  cli.output.result(result, describePruned(result));
  return 0;
}

function describePruned({ deleted, kept }: PruneResult): string {
  const lines = deleted.map(({ path }) => `Deleted ${path}`);
  if (deleted.length === 0) lines.push('Nothing was deleted.');
  for (const { path, column, recorded } of kept) {
    const why = recorded
      ? `the last backup of ${column}, whose vectors are in the table no more (--last-too deletes it)`
      : 'it is not in the state of this database, and may be of another';
    lines.push(`Kept ${path}: ${why}.`);
  }
  return lines.join('\n');
}
