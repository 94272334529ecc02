import type { EvaluationResult, Verdict } from '../../evaluate/types.ts';
import { type Cli, defineCommand, type ExitCode } from '../command.ts';
import { type EvaluateFlags, evaluateFlags, querySource } from '../evaluate-flags.ts';
import { withMigration } from '../with-migration.ts';

const EXIT_CODES: Readonly<Record<Verdict, ExitCode>> = { go: 0, 'no-go': 1, inconclusive: 3 };

/** `reembed evaluate`: is the new model better here? 0 GO, 1 NO-GO, 3 inconclusive. */
export const evaluate = defineCommand({
  usage: 'evaluate',
  describe: 'Compare old and new vectors by queries with known answers: GO, NO-GO or not enough evidence',
  flags: evaluateFlags,
  run: async (flags, cli) => {
    if (flags.fromShadow === true || flags.monitor !== undefined) {
      const { reportAgreement } = await import('../report-agreement.ts');
      return reportAgreement(flags, cli);
    }
    const { evaluate: evaluateMigration } = await import('../../steps/evaluate.ts');
    const { k, sample, seed, tolerance, minGain, rerank, adapter, judgeAdapter = false } = flags;
    const checks = flags.checks && { pairs: flags.pairs, pairLimit: flags.pairLimit, thresholds: flags.threshold };
    const queries = querySource(flags);
    const result = await withMigration(flags, cli, (ctx) =>
      evaluateMigration(ctx, { queries, k, sample, seed, tolerance, minGain, rerank, adapter, judgeAdapter, checks }),
    );
    const { evaluationText } = await import('../../reports/evaluation-report.ts');
    // First what was found: a file that cannot be written must not take it along.
    cli.output.result(result, evaluationText(result));
    await writeReport(result, flags, cli);
    return EXIT_CODES[result.verdict];
  },
});

/** The form by the file's name. */
async function writeReport(
  result: EvaluationResult,
  { output }: Pick<EvaluateFlags, 'output'>,
  cli: Cli,
): Promise<void> {
  if (output === undefined) return;
  const { writeFile } = await import('node:fs/promises');
  const { evaluationHtml } = await import('../../reports/evaluation-html.ts');
  const { evaluationMarkdown } = await import('../../reports/evaluation-report.ts');
  const text = /\.html?$/i.test(output)
    ? evaluationHtml(result)
    : /\.md$/i.test(output)
      ? evaluationMarkdown(result)
      : `${JSON.stringify(result, null, 2)}\n`;
  await writeFile(output, text);
  cli.output.note(`Wrote ${output}.`);
}
