import type { MigrationInput } from '../../src/config/define-migration.ts';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { type DoctorCheck, type DoctorOptions, type DoctorReport, doctor } from '../../src/inspect/doctor.ts';
import type { Finding } from '../../src/inspect/finding.ts';
import type { Chain } from './chain.ts';

export interface Examination {
  readonly input?: Partial<MigrationInput>;
  readonly runtime?: Partial<RuntimeSettings>;
  readonly options?: DoctorOptions;
}

/** The sample is the same in every run, so that messages can be compared. */
export function examine(chain: Pick<Chain, 'context'>, examination: Examination = {}): Promise<DoctorReport> {
  const { input, runtime, options } = examination;
  return doctor(chain.context(input, runtime), { seed: 7, ...options });
}

/** Without what the version of pgvector under test is known for. */
export function findingsBut(report: DoctorReport): readonly Finding[] {
  return report.findings.filter((finding) => !finding.code.startsWith('pgvector_'));
}

export function byCode(report: DoctorReport): Readonly<Record<string, Finding>> {
  return Object.fromEntries(report.findings.map((finding) => [finding.code, finding]));
}

export function checkNamed(report: DoctorReport, name: DoctorCheck['name']): DoctorCheck {
  const check = report.checks.find((candidate) => candidate.name === name);
  if (check === undefined) throw new Error(`no check ${name}`);
  return check;
}
