import { defineCommand, migrationFlags } from '../command.ts';
import { wholeNumber } from '../whole-number.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed doctor`: all that stands in the migration's way, and what deserves a look. Changes nothing. */
export const doctor = defineCommand({
  usage: 'doctor',
  describe: 'What stands in the way, and what deserves a look',
  flags: (yargs) =>
    migrationFlags(yargs)
      .option('full', { type: 'boolean', default: false, describe: 'All rows instead of a sample' })
      .option('probe', {
        type: 'boolean',
        default: true,
        describe: 'Embed one short text; --no-probe asks no provider',
      })
      .option('seed', {
        type: 'string',
        requiresArg: true,
        coerce: wholeNumber('seed', 0),
        describe: 'Chooses the sample; printed, so that a run can be repeated',
      }),
  run: async ({ full, probe, seed, verbose, ...flags }, cli) => {
    const { doctor: examine } = await import('../../inspect/doctor.ts');
    const { doctorText } = await import('../../reports/doctor-text.ts');
    const report = await withMigration(flags, cli, (ctx, { overriddenBy }) =>
      examine(ctx, { full, probe, overriddenBy, ...(seed !== undefined && { seed }) }),
    );
    cli.output.result(report, doctorText(report, { width: process.stdout.columns ?? 100, verbose }));
    return report.ok ? 0 : 1;
  },
});
