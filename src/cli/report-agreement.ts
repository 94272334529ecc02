import type { ShadowReport } from '../evaluate/shadow/types.ts';
import type { MigrationContext } from '../state/context.ts';
import type { Cli, ExitCode } from './command.ts';
import type { EvaluateFlags } from './evaluate-flags.ts';
import { withMigration } from './with-migration.ts';

const DEFAULT_SEED = 1;

/** `evaluate --from-shadow` and `--monitor`: agreement only, so 3 unless `--min-overlap` says what is enough. */
export async function reportAgreement(flags: EvaluateFlags, cli: Cli): Promise<ExitCode> {
  const report = await withMigration(flags, cli, (ctx) => readAgreement(ctx, flags));
  const { shadowText } = await import('../reports/shadow-report.ts');
  cli.output.result(report, shadowText(report));
  return exitCode(report, flags.minOverlap);
}

async function readAgreement(ctx: MigrationContext, flags: EvaluateFlags): Promise<ShadowReport> {
  const { seed = DEFAULT_SEED, monitor: durationMs, queries, k } = flags;
  if (durationMs === undefined) {
    const { reportShadow } = await import('../evaluate/shadow/report-shadow.ts');
    return reportShadow(ctx, { seed });
  }
  const { monitor } = await import('../steps/monitor.ts');
  return monitor(ctx, { durationMs, queries, seed, limit: k });
}

/** As for a verdict: the whole interval lies above what is asked, or below it, or neither. */
function exitCode({ overlap }: ShadowReport, minOverlap: number | undefined): ExitCode {
  if (minOverlap === undefined) return 3;
  if (overlap.low >= minOverlap) return 0;
  return overlap.high < minOverlap ? 1 : 3;
}
