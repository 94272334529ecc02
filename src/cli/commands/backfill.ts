import { durationText } from '../../reports/progress-text.ts';
import type { FillResult } from '../../steps/fill.ts';
import { amount } from '../amount.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { count, number } from '../text.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed backfill`: what 006 does, to run beside the application as long as it takes. */
export const backfill = defineCommand({
  usage: 'backfill',
  describe: 'Embed every pending row; resumes where it stopped',
  flags: (yargs) =>
    migrationFlags(yargs)
      .option('pace', {
        type: 'string',
        requiresArg: true,
        coerce: amount('pace', 0.01, 1),
        describe: 'The share of the time in which to work, 0.01 to 1',
        defaultDescription: 'REEMBED_PACE, else 1',
      })
      // Without defaults: yargs takes a default for a flag that was given, and sees a conflict.
      .option('recheck', {
        type: 'boolean',
        describe: 'First compare every text with what was embedded: finds edits past the trigger',
      })
      .option('adapter', {
        type: 'string',
        requiresArg: true,
        describe: 'Map the old vectors by this projection, or by the best one ("auto")',
        defaultDescription: 'REEMBED_ADAPTER',
      })
      .option('replace-adapted', {
        type: 'boolean',
        conflicts: ['adapter', 'recheck'],
        describe: 'Embed the texts of exactly the rows that an adapter filled',
      }),
  run: async (flags, cli) => {
    const { fill } = await import('../../steps/fill.ts');
    const { recheck = false, replaceAdapted = false } = flags;
    const result = await withMigration(flags, cli, (ctx) => {
      const { pace, adapters } = ctx.runtime;
      const asked = { pace: flags.pace ?? pace, adapters: { ...adapters, use: flags.adapter ?? adapters.use } };
      return fill({ ...ctx, runtime: { ...ctx.runtime, ...asked } }, { recheck, replaceAdapted });
    });
    cli.output.result(result, describe(result));
    return 0;
  },
});

function describe(result: FillResult): string {
  return [describeRun(result), ...describeAdapted(result)].join('\n');
}

/** Those with a text are worth a command, the others stay. */
function describeAdapted({ adapted }: FillResult): string[] {
  if (adapted === undefined || adapted.rows === 0) return [];
  const { adapter, rows, withoutText } = adapted;
  const lost = withoutText === 0 ? '' : ` (${number(withoutText)} without text)`;
  const next = withoutText < rows ? ' "reembed backfill --replace-adapted" embeds their texts.' : '';
  return [`${count(rows, 'vector')} ${rows === 1 ? 'was' : 'were'} mapped by ${adapter}${lost}.${next}`];
}

function describeRun({ rows, run }: FillResult): string {
  const state =
    `${number(rows.done)} of ${count(rows.total, 'row')} embedded, ${number(rows.pending)} pending, ` +
    `${number(rows.skipped)} without text, ${number(rows.quarantined)} in quarantine`;
  if (run === undefined) return `Nothing to do: ${state}.`;
  const cut = run.truncated === 0 ? '' : `, ${count(run.truncated, 'text')} cut to the model's limit`;
  return `${state}.\n${count(run.written, 'row')} written in ${durationText(run.seconds)}${cut}.`;
}
