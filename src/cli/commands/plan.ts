import type { ArgumentsCamelCase } from 'yargs';
import type { MigrationPlan } from '../../plan/types.ts';
import { type Cli, defineCommand, type ExitCode } from '../command.ts';
import { type PlanFlags, planFlags } from '../plan-flags.ts';
import { reportRoi } from '../report-roi.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed plan`: what the three migrations will do to this table, and what it costs. Changes nothing. */
export const plan = defineCommand({
  usage: 'plan',
  describe: 'What the migrations will do, and what it and each choice costs',
  flags: planFlags,
  run: (flags, cli) => (flags.roi ? reportRoi(flags, cli) : reportPlan(flags, cli)),
});

/** 1 when it is over the budget, 3 when there is one and the cost is not known. */
async function reportPlan(flags: ArgumentsCamelCase<PlanFlags>, cli: Cli): Promise<ExitCode> {
  const { planMigration } = await import('../../steps/plan-migration.ts');
  const { probe, price, budget } = flags;
  const made = await withMigration(flags, cli, (ctx) => planMigration(ctx, { probe, price, budgetUsd: budget }));
  cli.output.result(made, await textOf(made, flags));
  if (made.cost.budgetUsd === undefined) return 0;
  if (made.cost.overBudget === undefined) return 3;
  return made.cost.overBudget ? 1 : 0;
}

async function textOf(made: MigrationPlan, { markdown, checklist, sql }: PlanFlags): Promise<string> {
  if (checklist) return (await import('../../reports/plan-checklist.ts')).planChecklist(made);
  const { planMarkdown, planText } = await import('../../reports/plan-report.ts');
  return markdown ? planMarkdown(made, { sql }) : planText(made, { sql });
}
