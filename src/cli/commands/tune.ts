import { tuneReport } from '../../reports/tune-report.ts';
import { amount } from '../amount.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { wholeNumber } from '../whole-number.ts';
import { withMigration } from '../with-migration.ts';

const SIDES = ['active', 'old', 'new'] as const;

/** `reembed tune`: the index searched with the setting that its recall asks for. 3 when no setting reaches it. */
export const tune = defineCommand({
  usage: 'tune',
  describe: 'Measure the recall of the vector index, and set its search to what reaches the target',
  flags: (yargs) =>
    migrationFlags(yargs)
      .option('recall', {
        type: 'string',
        requiresArg: true,
        coerce: amount('recall', 0.01, 1),
        describe: 'Recall@k to be reached',
        defaultDescription: '0.95',
      })
      .option('k', {
        type: 'string',
        requiresArg: true,
        coerce: wholeNumber('k', 1),
        describe: 'Hits that count',
        defaultDescription: '10',
      })
      .option('queries', {
        type: 'string',
        requiresArg: true,
        describe: 'A file of queries, a line each or JSON lines with "query"; else the vectors of random rows',
      })
      .option('query-count', {
        type: 'string',
        requiresArg: true,
        coerce: wholeNumber('query-count', 20),
        describe: 'Queries at most',
        defaultDescription: '200',
      })
      .option('side', { choices: SIDES, default: 'active', requiresArg: true, describe: 'Whose index' } as const)
      .option('dry-run', { type: 'boolean', default: false, describe: 'Measure only' }),
  run: async (flags, cli) => {
    const { tune: tuneIndex } = await import('../../steps/tune.ts');
    const { recall, k, queries, queryCount, side, dryRun } = flags;
    const result = await withMigration(flags, cli, (ctx) =>
      tuneIndex(ctx, { recall, k, queries, queryCount, side, dryRun }),
    );
    cli.output.result(result, tuneReport(result));
    return result.chosen === null ? 3 : 0;
  },
});
