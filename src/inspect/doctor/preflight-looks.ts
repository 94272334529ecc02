import { plural } from '../../plural.ts';
import { CHECK_NAMES, type CheckName, checkOf } from '../catalogue.ts';
import type { PreflightReport } from '../preflight.ts';
import { postgresDefects } from './known-defects.ts';
import { type Look, seen, unseen } from './look.ts';

/** What 005 looks at before it starts; the looks at a table are unknown where it could not be read. */
export function preflightLooks(report: PreflightReport, swapped: boolean): Map<CheckName, Look> {
  const details = detailsOf(report, swapped);
  return new Map(
    CHECK_NAMES.map((name): [CheckName, Look] => {
      // An error that came from below is about the table.
      const found = report.findings.filter((finding) => (checkOf(finding.code) ?? 'table') === name);
      const all = name === 'server' ? [...found, ...postgresDefects(report.server)] : found;
      const detail = details[name];
      return [name, detail === undefined ? unseen('the table could not be read', all) : seen(detail, all)];
    }),
  );
}

function detailsOf(
  { server, extension, facts }: PreflightReport,
  swapped: boolean,
): Partial<Record<CheckName, string>> {
  const always = {
    server: `Postgres ${server.version}, role "${server.role}"`,
    ...(extension === undefined
      ? {}
      : { pgvector: `pgvector ${extension.version} in the schema "${extension.schema}"` }),
  };
  if (facts === undefined) return always;
  const { table, rowsEstimate, rowsCounted } = facts;
  const key = table.key.map((column) => column.name).join(', ');
  const rows = `${rowsCounted ? '' : 'about '}${rowsEstimate} ${plural(rowsEstimate, 'row')}`;
  const vectors = table.columns.filter((column) => column.typeName === 'vector' || column.typeName === 'halfvec');
  return {
    ...always,
    rights: `the role "${server.role}" on "${table.schema}.${table.name}" and the state`,
    'row security': table.rowSecurity.enabled ? 'enabled' : 'not enabled',
    table: `"${table.schema}.${table.name}", ${rows}, key ${key || 'none'}`,
    columns: vectors.map((column) => `"${column.name}" ${column.type}`).join(', '),
    surroundings: swapped
      ? 'after the swap only poolers are looked for'
      : 'triggers, publications, dependents, poolers',
  };
}
