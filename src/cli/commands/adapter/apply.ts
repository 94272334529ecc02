import type { MigratedWithAdapter } from '../../../steps/migrate-with-adapter.ts';
import { defineCommand, migrationFlags } from '../../command.ts';
import { withMigration } from '../../with-migration.ts';

/** `reembed adapter apply`: moves a table to the new model by a projection, in one call that takes itself back where verification fails. */
export const applyAdapter = defineCommand({
  usage: 'apply',
  describe: 'Migrate by a projection: back up, map, verify, swap; undone where verification fails',
  flags: (yargs) =>
    migrationFlags(yargs)
      .option('projection', {
        type: 'string',
        requiresArg: true,
        describe: 'Its id',
        defaultDescription: 'REEMBED_ADAPTER, else the best that fits',
      })
      .option('backup', { type: 'boolean', default: true, describe: 'Write the old vectors into a file before' })
      .option('verify', {
        type: 'boolean',
        default: true,
        describe: 'Recount and measure before the swap and after it',
      })
      .option('min-similarity', {
        type: 'string',
        requiresArg: true,
        coerce: similarity,
        describe: 'Similarity preservation that is asked for',
        defaultDescription: '0.8',
      }),
  run: async (flags, cli) => {
    const { migrateWithAdapter } = await import('../../../steps/migrate-with-adapter.ts');
    const { projection, backup: autoBackup, verify, minSimilarity } = flags;
    const done = await withMigration(flags, cli, (ctx) =>
      migrateWithAdapter(ctx, { projection, autoBackup, verify, minSimilarity }),
    );
    cli.output.result(done, describe(done));
    return 0;
  },
});

function describe({ projection, backupPath, similarityPreservation, measuredRows }: MigratedWithAdapter): string {
  const on = measuredRows === 0 ? 'on the holdout of its training' : `on ${measuredRows} rows of this table`;
  const kept =
    similarityPreservation === undefined
      ? 'What it loses was never measured.'
      : `Similarity preservation ${similarityPreservation.toFixed(3)} ${on}.`;
  return [
    `Migrated by ${projection}: the application's column holds mapped vectors now. ${kept}`,
    backupPath === undefined
      ? 'No backup was written; the old column is kept.'
      : `The old vectors are kept, and in ${backupPath}.`,
    'Next: reembed backfill --replace-adapted puts real vectors in their place; reembed rollback goes back.',
  ].join('\n');
}

function similarity(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const found = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  if (found >= 0 && found <= 1) return found;
  throw new Error(`--min-similarity is ${JSON.stringify(value)}, expected a number from 0 to 1, e.g. 0.8`);
}
