import type { DoctorCheck, DoctorReport } from '../inspect/doctor.ts';
import type { Finding } from '../inspect/finding.ts';
import { plural } from '../plural.ts';

export interface DoctorTextOptions {
  /** Columns of the terminal. */
  readonly width: number;
  /** Lists the checks that found nothing too. */
  readonly verbose: boolean;
}

const MAX_WIDTH = 110;
const LABELS = { error: 'ERROR', warning: 'warn', note: 'note' } as const;
const INDENT = '         ';

/** What `reembed doctor` prints: errors, warnings, offers, what could not be looked at, the verdict. */
export function doctorText(report: DoctorReport, { width, verbose }: DoctorTextOptions): string {
  const columns = Math.max(40, Math.min(width, MAX_WIDTH));
  const unknown = report.checks.filter((check) => check.result === 'unknown');
  const ok = report.checks.filter((check) => check.result === 'ok');
  const blocks = [
    ...[...report.findings, ...report.notes].map((finding) => findingText(finding, columns)),
    ...(unknown.length === 0 ? [] : [unknownText(unknown, columns)]),
    ...(ok.length === 0 ? [] : [okText(ok, columns, verbose)]),
    verdict(report, unknown.length),
  ];
  return blocks.join('\n\n');
}

function findingText({ severity, message, why, hint }: Finding, columns: number): string {
  const lines = [label(LABELS[severity], message, columns), label('', `Why: ${why}`, columns)];
  if (hint !== '') lines.push(label('', `Fix: ${hint}`, columns));
  return lines.join('\n');
}

function checkText(result: string, { name, detail }: DoctorCheck, columns: number): string {
  return label(result, `${name}: ${detail}`, columns);
}

/** Looks that one thing stands in the way of are told together. */
function unknownText(checks: readonly DoctorCheck[], columns: number): string {
  const details = [...new Set(checks.map((check) => check.detail))];
  const namesFor = (detail: string): string[] =>
    checks.filter((check) => check.detail === detail).map((check) => check.name);
  return details.map((detail) => label('unknown', `${namesFor(detail).join(', ')}: ${detail}`, columns)).join('\n');
}

function okText(checks: readonly DoctorCheck[], columns: number, verbose: boolean): string {
  if (verbose) return checks.map((check) => checkText('ok', check, columns)).join('\n');
  return label('ok', checks.map((check) => check.name).join(', '), columns);
}

function verdict({ ok, findings, migration, postgres, pgvector, seed, full }: DoctorReport, unknown: number): string {
  const errors = findings.filter((finding) => finding.severity === 'error').length;
  const warnings = findings.length - errors;
  const counts = [
    ...(errors > 0 ? [`${errors} ${plural(errors, 'error')}`] : []),
    ...(warnings > 0 ? [`${warnings} ${plural(warnings, 'warning')}`] : []),
    ...(unknown > 0 ? [`${unknown} unknown`] : []),
  ];
  const sum = counts.length === 0 ? '' : `: ${counts.join(', ')}`;
  // Distributions append their own build to the version.
  const server = `Postgres ${postgres.split(' ')[0]}, pgvector ${pgvector ?? 'missing'}, ${full ? 'all rows' : `seed ${seed}`}`;
  return `${ok ? `Nothing stands in the way of ${migration}` : `${migration} is not sound`}${sum} (${server}).`;
}

/** A label and a text beside it, wrapped at spaces. */
function label(name: string, text: string, columns: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns - INDENT.length) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.map((each, i) => `${i === 0 ? name.padEnd(INDENT.length) : INDENT}${each}`).join('\n');
}
