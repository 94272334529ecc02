import type { Queryable } from '../../db/types.ts';
import { shownIdentifier } from '../../sql/identifiers.ts';
import type { FindingCode } from '../catalogue.ts';
import type { ServerFacts } from '../facts.ts';
import { errorFinding, type Finding, warningFinding } from '../finding.ts';
import { indexBuilds } from './index-builds.ts';
import { type Examined, type Look, seen } from './look.ts';

/** A defect of pgvector with the versions that have it: from `since` up to the last one before `fixed`. */
interface Defect {
  readonly code: FindingCode;
  readonly method: 'hnsw' | 'ivfflat';
  readonly since: string;
  readonly fixed: string;
  /** Completes "pgvector 0.8.0 …". */
  readonly does: string;
  readonly until: string;
}

/** From pgvector's CHANGELOG.md and the advisories that it links to. */
const DEFECTS: readonly Defect[] = [
  {
    code: 'pgvector_hnsw_parallel_build',
    method: 'hnsw',
    since: '0.6.0',
    fixed: '0.8.2',
    does: 'can write past a buffer while parallel workers build an HNSW index',
    until: 'Until then build with "max_parallel_maintenance_workers = 0".',
  },
  {
    code: 'pgvector_hnsw_vacuum',
    method: 'hnsw',
    since: '0.5.0',
    fixed: '0.8.4',
    does: 'can damage an HNSW index while it is vacuumed (corrected in 0.8.3), and fail with "hnsw graph not repaired"',
    until: 'Then run "REINDEX INDEX CONCURRENTLY" for each HNSW index that was vacuumed before.',
  },
  {
    code: 'pgvector_ivfflat_build',
    method: 'ivfflat',
    since: '0.0.0',
    fixed: '0.8.7',
    does: 'can write past a buffer while it builds an IVFFlat index',
    until: 'Until then let only trusted roles build such indexes.',
  },
  {
    code: 'pgvector_ivfflat_insert',
    method: 'ivfflat',
    since: '0.2.7',
    fixed: '0.3.1',
    does: 'damages IVFFlat indexes when rows are inserted',
    until: 'Then build each IVFFlat index again.',
  },
];

/** @param version of the library, e.g. `0.8.0` @param methods index methods that are in use or are going to be */
export function pgvectorDefects(version: string, methods: ReadonlySet<string>): Finding[] {
  return DEFECTS.filter(
    ({ method, since, fixed }) => methods.has(method) && !isBefore(version, since) && isBefore(version, fixed),
  ).map(({ code, does, fixed, until }) =>
    warningFinding(
      code,
      `pgvector ${version} ${does}; ${fixed} corrects it.`,
      `Install pgvector ${fixed} or newer. ${until}`,
    ),
  );
}

export function postgresDefects({ versionNumber, version }: Pick<ServerFacts, 'versionNumber' | 'version'>): Finding[] {
  if (versionNumber < 140_000 || versionNumber >= 140_004) return [];
  return [
    warningFinding(
      'postgres_concurrently',
      `Postgres ${version} can leave rows out of an index that is built CONCURRENTLY while they are updated; 14.4 corrects it.`,
      'Update Postgres, then run "REINDEX INDEX" for each index that was built so.',
    ),
  ];
}

interface Installed {
  readonly library: string | null;
  readonly mayUse: boolean;
  readonly methods: readonly string[];
}

/** The extension's schema and versions, and the defects of what is really loaded: the library, not its SQL. */
export async function lookAtPgvector(examined: Examined, tx: Queryable): Promise<Look> {
  const { extension, facts } = examined;
  const { rows } = await tx.query<Installed>(
    `SELECT (SELECT default_version FROM pg_catalog.pg_available_extensions WHERE name = 'vector') AS library,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS "mayUse",
       (SELECT COALESCE(pg_catalog.json_agg(DISTINCT am.amname), '[]') FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am am ON am.oid = c.relam
         WHERE c.relkind IN ('i', 'I') AND am.amname IN ('hnsw', 'ivfflat')) AS methods
     FROM pg_catalog.pg_namespace n WHERE n.nspname = $1`,
    [extension.schema],
  );
  const { library, mayUse = true, methods = [] } = rows[0] ?? { library: null };
  const findings: Finding[] = [];
  if (!mayUse) {
    findings.push(
      errorFinding(
        'extension_schema_denied',
        `The role "${facts.server.role}" may not use the schema "${extension.schema}", where pgvector is installed.`,
        `Run "GRANT USAGE ON SCHEMA ${shownIdentifier(extension.schema)} TO ${shownIdentifier(facts.server.role)};".`,
      ),
    );
  }
  if (library !== null && isBefore(extension.version, library)) {
    findings.push(
      warningFinding(
        'extension_outdated',
        `pgvector ${library} is on the server, this database still has the SQL of ${extension.version}.`,
        'Run "ALTER EXTENSION vector UPDATE;".',
      ),
    );
  }
  const used = new Set([...methods, ...indexBuilds(examined).map((build) => build.kind)]);
  findings.push(...pgvectorDefects(library ?? extension.version, used));
  return seen(`pgvector ${library ?? extension.version} in the schema "${extension.schema}"`, findings);
}

/** Compares versions part by part: `0.8.10` is after `0.8.9`. */
function isBefore(version: string, other: string): boolean {
  const [a, b] = [version, other].map((text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
