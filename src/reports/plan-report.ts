import type { DeploymentStep } from '../plan/deployment.ts';
import type { MigrationPlan } from '../plan/types.ts';
import { markdownTable } from './markdown-table.ts';
import { indexText, type PlanSection, planSections } from './plan-sections.ts';

export interface PlanReportOptions {
  /** With the statements of each step. */
  readonly sql: boolean;
}

/** A plan as text for a terminal. */
export function planText(plan: MigrationPlan, { sql }: PlanReportOptions): string {
  const [what, ...numbers] = planSections(plan).map(sectionText);
  const parts = [
    what ?? '',
    // Over budget, or nothing left to do: before the numbers, or nobody reads it.
    plan.notes.join('\n'),
    ...numbers,
    plan.steps
      .map((step) => [`${step.name}: ${step.summary}`, ...(sql ? step.sql.map((each) => `  ${each};`) : [])].join('\n'))
      .join('\n'),
    plan.indexes.map(indexText).join('\n'),
    plan.choices.map((choice) => `${choice.chosen ? '*' : ' '} ${choiceText(choice)}`).join('\n'),
    ['Order of deployment', ...plan.deployment.steps.map((step, i) => `  ${i + 1}. ${stepText(step)}`)].join('\n'),
    ['Assumptions', ...plan.assumptions.map((each) => `  - ${each}`)].join('\n'),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function sectionText({ title, rows }: PlanSection): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return [title, ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)].join('\n');
}

function choiceText({ option, value, means }: MigrationPlan['choices'][number]): string {
  return `${option}: '${value}': ${means}`;
}

function stepText({ title, commands, note }: DeploymentStep): string {
  return [
    title,
    ...commands.map((command) => `       ${command}`),
    ...(note === undefined ? [] : [`     ${note}`]),
  ].join('\n');
}

/** A plan as Markdown, for a pull request or a ticket. */
export function planMarkdown(plan: MigrationPlan, { sql }: PlanReportOptions): string {
  const [what, ...numbers] = planSections(plan).map(({ title, rows }) => [
    `## ${title}`,
    markdownTable(['', ''], rows),
  ]);
  const sections = [
    `# Plan of ${plan.migration}`,
    ...(what ?? []),
    '## Notes',
    list(plan.notes),
    ...numbers.flat(),
    '## Steps',
    ...plan.steps.flatMap((step) => [`**${step.name}**: ${step.summary}.`, ...(sql ? [fenced(step.sql)] : [])]),
    ...(plan.indexes.length === 0 ? [] : ['## Indexes', list(plan.indexes.map(indexText))]),
    '## Choices',
    list(plan.choices.map((choice) => `${choice.chosen ? '**chosen** ' : ''}${choiceText(choice)}`)),
    '## Order of deployment',
    plan.deployment.steps.map((step, i) => `${i + 1}. ${markdownStep(step)}`).join('\n'),
    '## Assumptions',
    list(plan.assumptions),
  ];
  return sections.join('\n\n');
}

function markdownStep({ title, commands, note }: DeploymentStep): string {
  const run = commands.map((command) => `\`${command}\``).join(', ');
  return `${title}: ${run}${note === undefined ? '' : `; ${note}`}`;
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

function fenced(statements: readonly string[]): string {
  return ['```sql', ...statements.map((statement) => `${statement};`), '```'].join('\n');
}
