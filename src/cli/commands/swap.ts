import type { CutOverResult } from '../../steps/cut-over.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed swap`: what 007 does. */
export const swap = defineCommand({
  usage: 'swap',
  describe: 'Build the indexes and exchange the columns',
  flags: migrationFlags,
  run: async (flags, cli) => {
    const { cutOver } = await import('../../steps/cut-over.ts');
    const result = await withMigration(flags, cli, cutOver);
    cli.output.result(result, describe(result));
    return 0;
  },
});

function describe({ changed, column, keptColumn, indexes, lockedMs }: CutOverResult): string {
  if (!changed) return `Nothing to do: ${column} holds the new vectors.`;
  const lines = [`${column} holds the new vectors; the exchange held its lock for ${Math.round(lockedMs ?? 0)} ms.`];
  for (const { name, kind } of indexes) lines.push(`Index ${name} (${kind}) is built on them.`);
  if (keptColumn !== null) lines.push(`The old ones are kept as ${keptColumn}: "reembed rollback" goes back to them.`);
  return lines.join('\n');
}
