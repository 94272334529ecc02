import { count, usd } from '../amounts.ts';
import type { RoiReport } from '../plan/roi.ts';
import { markdownTable } from './markdown-table.ts';

function rowsOf(report: RoiReport): readonly (readonly [string, string])[] {
  const { costs } = report;
  return [
    ['API', usd(costs.apiUsd)],
    ['Compute', usd(costs.computeUsd)],
    ['Engineering', usd(costs.engineeringUsd)],
    ['Downtime', usd(costs.downtimeUsd)],
    ['Total cost', usd(costs.totalUsd)],
    ['Monthly benefit', usd(report.monthlyBenefitUsd)],
    ['Break-even', breakEvenText(report)],
    ['Yearly benefit', usd(report.yearlyBenefitUsd)],
    ['First year, net', usd(report.firstYearNetUsd)],
  ];
}

function breakEvenText({ breakEvenMonths, breakEvenMonth }: RoiReport): string {
  if (breakEvenMonths === undefined) return 'never: the benefit does not pay for the costs';
  return `${Number(breakEvenMonths.toFixed(2))} months, in month ${breakEvenMonth}`;
}

/** Whether a migration pays, as text for a terminal. */
export function roiText(report: RoiReport): string {
  const rows = rowsOf(report);
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    `Does it pay? ${count(report.documents, 'document')}`,
    ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
    '',
    'Assumptions',
    ...report.assumptions.map((each) => `  - ${each}`),
  ].join('\n');
}

/** The same as Markdown. */
export function roiMarkdown(report: RoiReport): string {
  return [
    `# Does it pay? ${count(report.documents, 'document')}`,
    markdownTable(['', ''], rowsOf(report)),
    '## Assumptions',
    report.assumptions.map((each) => `- ${each}`).join('\n'),
  ].join('\n\n');
}
