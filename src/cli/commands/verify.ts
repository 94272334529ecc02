import { ModelError, ProviderError } from '../../errors.ts';
import type { VerifyReport } from '../../inspect/verify.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { columns } from '../text.ts';
import { wholeNumber } from '../whole-number.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed verify`: recounts and recomputes what the migration promises. 3 when the model could not be asked, or an adapter. */
export const verify = defineCommand({
  usage: 'verify',
  describe: 'Recount, and embed rows again to compare',
  flags: (yargs) =>
    migrationFlags(yargs)
      .option('full', { type: 'boolean', default: false, describe: 'All rows instead of a sample' })
      .option('sample', {
        type: 'string',
        requiresArg: true,
        coerce: wholeNumber('sample', 200),
        describe: 'Rows to embed again, at least 200',
      })
      .option('seed', {
        type: 'string',
        requiresArg: true,
        coerce: wholeNumber('seed', 0),
        describe: 'Chooses the sample; printed, so that a run can be repeated',
      }),
  run: async (flags, cli) => {
    const { verify: verifyMigration } = await import('../../inspect/verify.ts');
    const { lazyProvider } = await import('../../steps/provider.ts');
    const { full, sample, seed } = flags;
    try {
      const report = await withMigration(flags, cli, async (ctx) => {
        const provider = lazyProvider(ctx, ctx.definition);
        try {
          const options = { full, ...(sample !== undefined && { sample }), ...(seed !== undefined && { seed }) };
          return await verifyMigration(ctx, { ...options, provider: () => provider.get() });
        } finally {
          await provider.close();
        }
      });
      cli.output.result(report, describe(report));
      if (report.ok) return 0;
      return report.checks.some((check) => !check.ok && check.unknown !== true) ? 1 : 3;
    } catch (error) {
      if (!(error instanceof ModelError || error instanceof ProviderError)) throw error;
      cli.output.failure(error);
      return 3;
    }
  },
});

function describe(report: VerifyReport): string {
  const lines = report.checks.map(({ name, ok, unknown, detail }): [string, string] => [
    `${ok ? 'ok  ' : unknown === true ? '?   ' : 'FAIL'}  ${name}`,
    detail,
  ]);
  const open = report.checks.filter((check) => check.unknown === true).length;
  const failed = report.checks.filter((check) => !check.ok).length - open;
  const all = report.checks.length;
  const verdict =
    failed > 0
      ? `${failed} of ${all} checks failed`
      : open > 0
        ? `${open} of ${all} checks could not be made`
        : 'Verified';
  return `${columns(lines)}\n${verdict}: ${report.table}.${report.column}, migration ${report.migration}, seed ${report.seed}.`;
}
