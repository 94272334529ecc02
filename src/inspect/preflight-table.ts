import type { TableInfo } from '../db/catalog-types.ts';
import { type Partition, readPartitions } from '../db/partitions.ts';
import type { Queryable } from '../db/types.ts';
import { errorFinding, type Finding, warningFinding } from './finding.ts';

const KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  i: 'an index',
  S: 'a sequence',
  c: 'a composite type',
};

interface TableNature {
  readonly parents: number;
  readonly children: number;
  /** The uppermost table; null for one that is no partition. */
  readonly partitionOf: string | null;
  readonly persistence: string;
  readonly updateRules: readonly string[];
}

/** Whether this is a table whose rows can be told apart and changed one by one. */
export async function tableFindings(db: Queryable, table: TableInfo): Promise<Finding[]> {
  const name = `"${table.schema}.${table.name}"`;
  if (table.kind !== 'r' && table.kind !== 'p') {
    return [
      errorFinding(
        'not_a_table',
        `${name} is ${KINDS[table.kind] ?? 'no table'}, not a table.`,
        'Set "table" in reembed.config.ts (or REEMBED_TABLE) to the table that holds the vectors.',
      ),
    ];
  }
  const findings: Finding[] = [];
  if (table.key.length === 0) {
    findings.push(
      errorFinding(
        'no_primary_key',
        `Table ${name} has no primary key, by which rows could be found again.`,
        `Add one, e.g. "ALTER TABLE … ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY".`,
      ),
    );
  }
  if (table.kind === 'p') findings.push(...foreignPartitions(name, await readPartitions(db, table.oid)));
  findings.push(...natureFindings(name, await readNature(db, table.oid)));
  return findings;
}

/** Their rows are on another server: no trigger of this one guards them, and no index can be built on them. */
function foreignPartitions(name: string, partitions: readonly Partition[]): Finding[] {
  const foreign = partitions.filter((partition) => partition.kind === 'f');
  if (foreign.length === 0) return [];
  const names = foreign.map((partition) => `"${partition.schema}.${partition.name}"`).join(', ');
  return [
    errorFinding(
      'foreign_partition',
      `Table ${name} has partitions that are foreign tables: ${names}.`,
      'Detach them for the migration ("ALTER TABLE … DETACH PARTITION …"), or migrate a table without them.',
    ),
  ];
}

async function readNature(db: Queryable, oid: number): Promise<TableNature> {
  const { rows } = await db.query<TableNature>(
    `SELECT (SELECT pg_catalog.count(*)::int FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid) AS parents,
       (SELECT pg_catalog.count(*)::int FROM pg_catalog.pg_inherits WHERE inhparent = c.oid AND c.relkind <> 'p') AS children,
       CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::text END AS "partitionOf", c.relpersistence AS persistence,
       (SELECT COALESCE(pg_catalog.json_agg(rulename), '[]') FROM pg_catalog.pg_rewrite WHERE ev_class = c.oid AND ev_type = '2') AS "updateRules"
     FROM pg_catalog.pg_class c WHERE c.oid = $1`,
    [oid],
  );
  return rows[0] ?? { parents: 0, children: 0, partitionOf: null, persistence: 'p', updateRules: [] };
}

function natureFindings(name: string, nature: TableNature): Finding[] {
  const findings: Finding[] = [];
  if (nature.partitionOf !== null) {
    findings.push(
      errorFinding(
        'partition',
        `Table ${name} is a partition of "${nature.partitionOf}".`,
        `Migrate the whole: set "table" in reembed.config.ts (or REEMBED_TABLE) to "${nature.partitionOf}".`,
      ),
    );
  } else if (nature.parents > 0 || nature.children > 0) {
    const what = nature.parents > 0 ? 'inherits from another table' : 'has tables that inherit from it';
    findings.push(
      errorFinding(
        'inheritance',
        `Table ${name} ${what}, which reembed does not support yet.`,
        'Migrate a table that stands alone.',
      ),
    );
  }
  if (nature.persistence === 't') {
    findings.push(
      errorFinding(
        'temporary_table',
        `Table ${name} is temporary: other connections do not see it.`,
        'Use an ordinary table.',
      ),
    );
  }
  if (nature.persistence === 'u') {
    findings.push(
      warningFinding(
        'unlogged_table',
        `Table ${name} is unlogged: a crash of the server empties it, vectors included.`,
        'Run "ALTER TABLE … SET LOGGED" if it holds anything that costs money to make.',
      ),
    );
  }
  if (nature.updateRules.length > 0) {
    findings.push(
      errorFinding(
        'update_rule',
        `Rules rewrite every UPDATE of ${name}: ${nature.updateRules.join(', ')}.`,
        'Replace the rule by a trigger, or drop it for the migration.',
      ),
    );
  }
  return findings;
}
