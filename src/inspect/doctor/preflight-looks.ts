import { CHECK_NAMES, type CheckName, checkOf } from '../catalogue.ts';
import type { TableFacts } from '../facts.ts';
import type { PreflightReport } from '../preflight.ts';
import { postgresDefects } from './known-defects.ts';
import { type Look, seen, unseen } from './look.ts';

/** What 005 looks at before it starts; the looks at a table are unknown where it could not be read. */
export function preflightLooks({ findings, facts }: PreflightReport, swapped: boolean): Map<CheckName, Look> {
  const details = facts === undefined ? {} : detailsOf(facts, swapped);
  const looks = CHECK_NAMES.map((name): [CheckName, Look] => {
    const found = findings.filter((finding) => (checkOf(finding.code) ?? 'table') === name);
    const detail = details[name];
    return [name, detail === undefined ? unseen('the table could not be read', found) : seen(detail, found)];
  });
  const result = new Map(looks);
  if (facts !== undefined) {
    const { version, versionNumber, role } = facts.server;
    const found = findings.filter((finding) => checkOf(finding.code) === 'server');
    result.set(
      'server',
      seen(`Postgres ${version}, role "${role}"`, [...found, ...postgresDefects(versionNumber, version)]),
    );
  }
  return result;
}

function detailsOf(
  { table, server, rowsEstimate, rowsCounted }: TableFacts,
  swapped: boolean,
): Partial<Record<CheckName, string>> {
  const key = table.key.map((column) => column.name).join(', ');
  const rows = `${rowsCounted ? '' : 'about '}${rowsEstimate} rows`;
  const vectors = table.columns.filter((column) => column.typeName === 'vector' || column.typeName === 'halfvec');
  return {
    pgvector: '',
    rights: `the role "${server.role}" on "${table.schema}.${table.name}" and the state`,
    'row security': table.rowSecurity.enabled ? 'enabled' : 'not enabled',
    table: `"${table.schema}.${table.name}", ${rows}, key ${key || 'none'}`,
    columns: vectors.map((column) => `"${column.name}" ${column.type}`).join(', '),
    surroundings: swapped
      ? 'after the swap only poolers are looked for'
      : 'triggers, publications, dependents, poolers',
  };
}
