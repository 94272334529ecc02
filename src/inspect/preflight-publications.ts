import type { TableInfo } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import { tableTreeSql } from '../sql/relation-size.ts';
import { errorFinding, type Finding, warningFinding } from './finding.ts';

interface Publication {
  readonly name: string;
  readonly allTables: boolean;
  readonly publishesUpdate: boolean;
  readonly columnList: boolean;
}

/** Whether a publication of this table would stop its subscriber, or the table's own updates. */
export async function publicationFindings(db: Queryable, table: TableInfo): Promise<Finding[]> {
  const publications = await readPublications(db, table.oid);
  if (publications.length === 0) return [];
  const { subscribers, identity } = await readReplication(db, table.oid);
  // One with a column list does not publish the new column; that it may be bound to the old one is the dependents' finding.
  const findings = publications
    .filter((publication) => !publication.columnList)
    .map((publication) => publicationFinding(publication, table, subscribers));
  if (identity === 'n' && publications.some((publication) => publication.publishesUpdate)) {
    findings.push(
      errorFinding(
        'replica_identity',
        `Table "${table.schema}.${table.name}" publishes updates but has REPLICA IDENTITY NOTHING: every UPDATE fails.`,
        'Run "ALTER TABLE … REPLICA IDENTITY DEFAULT".',
      ),
    );
  }
  return findings;
}

async function readPublications(db: Queryable, oid: number): Promise<Publication[]> {
  const { rows } = await db.query<Publication>(
    // A partitioned table is published as itself or, without publish_via_partition_root, as its partitions.
    `SELECT p.pubname AS name, p.puballtables AS "allTables", p.pubupdate AS "publishesUpdate",
       COALESCE((SELECT pg_catalog.bool_and(pg_catalog.to_jsonb(r) ->> 'prattrs' IS NOT NULL) FROM pg_catalog.pg_publication_rel r
         WHERE r.prpubid = p.oid AND r.prrelid IN ${tableTreeSql('$1::oid')}), false) AS "columnList"
     FROM pg_catalog.pg_publication p WHERE EXISTS (
       SELECT 1 FROM pg_catalog.pg_get_publication_tables(p.pubname) g WHERE g.relid IN ${tableTreeSql('$1::oid')})
     ORDER BY p.pubname`,
    [oid],
  );
  return rows;
}

async function readReplication(db: Queryable, oid: number): Promise<{ subscribers: number; identity: string }> {
  const { rows } = await db.query<{ subscribers: number; identity: string }>(
    `SELECT (SELECT pg_catalog.count(*)::int FROM pg_catalog.pg_replication_slots
         WHERE slot_type = 'logical' AND plugin = 'pgoutput' AND database = pg_catalog.current_database()) AS subscribers,
       (SELECT CASE WHEN pg_catalog.bool_or(c.relreplident = 'n') THEN 'n' ELSE 'd' END FROM pg_catalog.pg_class c
         WHERE c.oid IN ${tableTreeSql('$1::oid')} AND c.relkind = 'r') AS identity`,
    [oid],
  );
  return rows[0] ?? { subscribers: 0, identity: 'd' };
}

/** A subscriber whose table lacks a published column, or a published table, stops applying until somebody adds it. */
function publicationFinding(publication: Publication, table: TableInfo, subscribers: number): Finding {
  const name = `"${table.schema}.${table.name}"`;
  const what = publication.allTables ? `all tables, ${name} and reembed's state among them` : `all columns of ${name}`;
  const message =
    `The publication "${publication.name}" publishes ${what}` +
    (subscribers > 0 ? `, and ${subscribers} subscriber(s) would stop at the first one they lack.` : '.');
  const hint = publication.allTables
    ? 'Publish chosen tables with column lists instead of FOR ALL TABLES, and let the subscriber follow that publication.'
    : `Publish chosen columns, without the vectors: ALTER PUBLICATION ${publication.name} SET TABLE ${table.name} (…).`;
  return subscribers > 0
    ? errorFinding('publication', message, hint)
    : warningFinding('publication', message, `${hint} No subscriber reads it at present.`);
}
