import { adapterText } from '../../inspect/adapted-text.ts';
import type { DependentsReport } from '../../inspect/list-dependents.ts';
import type { CutOverResult } from '../../steps/cut-over.ts';
import { type Cli, defineCommand, type ExitCode, type MigrationFlags, migrationFlags } from '../command.ts';
import { recreateViewsFlag, recreatingViews } from '../recreate-views-flag.ts';
import { count } from '../text.ts';
import { withMigration } from '../with-migration.ts';

const PARTS = ['both', 'before', 'after'] as const;
type Part = (typeof PARTS)[number];

/** `reembed swap`: what 007 does. */
export const swap = defineCommand({
  usage: 'swap',
  describe: 'Build the indexes and exchange the columns',
  flags: (yargs) =>
    recreateViewsFlag(migrationFlags(yargs)).option('print-dependents', {
      // Without a value the parser hands over an empty text.
      coerce: (value: string): string => (value === '' ? 'both' : value),
      type: 'string',
      choices: PARTS,
      describe: 'Only print the SQL that drops what reads the column before the swap, and makes it again after it',
    } as const),
  run: async (flags, cli) => {
    if (flags.printDependents !== undefined) return printDependents(flags, cli, flags.printDependents as Part);
    const { cutOver } = await import('../../steps/cut-over.ts');
    const result = await withMigration(flags, cli, (ctx) => cutOver(recreatingViews(ctx, flags)));
    cli.output.result(result, describe(result));
    return 0;
  },
});

async function printDependents(flags: MigrationFlags, cli: Cli, part: Part): Promise<ExitCode> {
  const { listDependents } = await import('../../inspect/list-dependents.ts');
  const report = await withMigration(flags, cli, listDependents);
  cli.output.result(report, part === 'both' ? bothParts(report) : report[part]);
  return 0;
}

function bothParts({ table, column, dependents, before, after }: DependentsReport): string {
  if (dependents.length === 0) return `-- Nothing is bound to ${table}.${column}.`;
  return [`-- Before the swap:`, before, `-- The swap. After it:`, after].join('\n');
}

function describe({ changed, column, keptColumn, indexes, lockedMs, adapted }: CutOverResult): string {
  if (!changed) return `Nothing to do: ${column} holds the new vectors.`;
  const lines = [`${column} holds the new vectors; the exchange held its lock for ${Math.round(lockedMs ?? 0)} ms.`];
  for (const { name, kind } of indexes) lines.push(`Index ${name} (${kind}) is built on them.`);
  if (adapted !== null)
    lines.push(
      `${count(adapted.rows, 'row holds', 'rows hold')} the vectors of ${adapterText(adapted)}: "reembed backfill --replace-adapted" embeds their texts.`,
    );
  if (keptColumn !== null) lines.push(`The old ones are kept as ${keptColumn}: "reembed rollback" goes back to them.`);
  return lines.join('\n');
}
