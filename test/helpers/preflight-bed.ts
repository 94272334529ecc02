import type { MigrationInput } from '../../src/config/define-migration.ts';
import { type PreflightReport, preflight } from '../../src/inspect/preflight.ts';
import type { Chain } from './chain.ts';

/** A table with nothing in the way of a migration. */
export const TABLE = 'CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding vector(8), plain jsonb)';

/** Makes `segments` anew from SQL and looks at it. */
export async function look(chain: Chain, sql: string, input: Partial<MigrationInput> = {}): Promise<PreflightReport> {
  await chain.db.query('DROP TABLE IF EXISTS segments CASCADE');
  await chain.db.query('DROP VIEW IF EXISTS passages');
  await chain.db.query(sql);
  return preflight(chain.context(input));
}

export function codes(report: PreflightReport): string[] {
  return report.findings.map((finding) => finding.code);
}

/** What the finding with this code says; where there is none, the codes of those that are there. */
export function messageOf(report: PreflightReport, code: string): string {
  return report.findings.find((finding) => finding.code === code)?.message ?? `no finding ${code} in ${codes(report)}`;
}

/** On the embedded database all connections share one session. */
export function dedicatedConnections(chain: Chain): boolean {
  return !chain.db.embedded;
}
