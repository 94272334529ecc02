import type { Queryable } from '../db/types.ts';
import {
  applyPropertiesSql,
  type ColumnCheck,
  type ColumnGrant,
  type ColumnProperties,
  notNullCheckName,
  readUnvalidatedComment,
  stripPropertiesSql,
} from '../sql/exchange.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { tableSql } from '../sql/target.ts';
import type { ColumnRoles } from './column-properties.ts';

/** What a partition's column has of its own, beside what comes from the table above it. */
export interface PartitionProperties {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  readonly own: ColumnProperties;
  /** The table above has a default or a statistics target, and the partition none. */
  readonly without: { readonly defaultSql: boolean; readonly statisticsTarget: boolean };
}

interface Row {
  readonly oid: number;
  readonly parentOid: number | null;
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  readonly notNull: boolean;
  readonly defaultSql: string | null;
  readonly comment: string | null;
  readonly statisticsTarget: number | null;
  readonly grants: readonly {
    readonly grantee: string | null;
    readonly privilege: string;
    readonly grantable: boolean;
  }[];
  readonly checks: readonly {
    readonly name: string;
    readonly definition: string;
    readonly validated: boolean;
    readonly comment: string | null;
  }[];
}

/** Of all partitions, in one query, because it is asked under the lock: those first that others are partitions of. */
export async function readPartitionProperties(
  tx: Queryable,
  tableOid: number,
  columns: readonly string[],
  migrationId: string,
): Promise<PartitionProperties[]> {
  const { rows } = await tx.query<Row>(
    `SELECT c.oid, s.parentrelid::oid AS "parentOid", n.nspname AS schema, c.relname AS table, a.attname AS column, a.attnotnull AS "notNull",
       pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS "defaultSql", pg_catalog.col_description(c.oid, a.attnum) AS comment,
       NULLIF(a.attstattarget, -1) AS "statisticsTarget",
       COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('grantee', r.rolname, 'privilege', x.privilege_type, 'grantable', x.is_grantable))
         FROM pg_catalog.aclexplode(a.attacl) x LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
         WHERE x.grantee = 0 OR r.oid IS NOT NULL), '[]') AS grants,
       COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', k.conname, 'definition', pg_catalog.pg_get_constraintdef(k.oid),
           'validated', k.convalidated, 'comment', pg_catalog.obj_description(k.oid, 'pg_constraint')) ORDER BY k.conname)
         FROM pg_catalog.pg_constraint k
         WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.coninhcount = 0 AND a.attnum = ANY (k.conkey)), '[]') AS checks
     FROM pg_catalog.pg_partition_tree($1::oid) s JOIN pg_catalog.pg_class c ON c.oid = s.relid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY ($2::text[]) AND NOT a.attisdropped
     LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     ORDER BY s.level, n.nspname, c.relname, a.attname`,
    [tableOid, columns],
  );
  return rows.flatMap((row) => {
    const above = rows.find((candidate) => candidate.oid === row.parentOid && candidate.column === row.column);
    return above === undefined ? [] : [ownOf(row, above, migrationId)];
  });
}

function ownOf(row: Row, above: Row, migrationId: string): PartitionProperties {
  const standIn = notNullCheckName(migrationId);
  const { schema, table, column } = row;
  const differs = (name: 'defaultSql' | 'statisticsTarget'): boolean => row[name] !== above[name];
  return {
    schema,
    table,
    column,
    own: {
      notNull: (row.notNull && !above.notNull) || row.checks.some(({ name }) => name === standIn),
      defaultSql: differs('defaultSql') ? (row.defaultSql ?? undefined) : undefined,
      comment: row.comment ?? undefined,
      statisticsTarget: differs('statisticsTarget') ? (row.statisticsTarget ?? undefined) : undefined,
      grants: row.grants.map((grant): ColumnGrant => ({ ...grant, grantee: grant.grantee ?? undefined })),
      checks: row.checks.filter(({ name }) => name !== standIn).map(checkOf),
    },
    without: {
      defaultSql: row.defaultSql === null && differs('defaultSql'),
      statisticsTarget: row.statisticsTarget === null && differs('statisticsTarget'),
    },
  };
}

function checkOf({ name, definition, validated, comment }: Row['checks'][number]): ColumnCheck {
  const unvalidated = readUnvalidatedComment(comment ?? undefined);
  return {
    name,
    definition: definition.replace(/ NOT VALID$/, ''),
    validated: validated || unvalidated !== undefined,
    comment: unvalidated === undefined ? (comment ?? undefined) : unvalidated.original,
  };
}

/**
 * What partitions have of their own goes from both columns, but CHECKs and NOT NULL of the incoming one, which are about its values; run after the same for the table, which reaches down to them.
 */
export function stripPartitionsSql(
  partitions: readonly PartitionProperties[],
  incoming: string,
  migrationId: string,
): string[] {
  return partitions.flatMap(({ schema, table, column, own }) =>
    stripPropertiesSql(
      { schema, table },
      column,
      column === incoming ? { ...own, checks: [], notNull: false } : own,
      migrationId,
    ),
  );
}

/** Gives it back under the same names, after the table's. */
export function applyPartitionsSql(
  partitions: readonly PartitionProperties[],
  { outgoing, outgoingName, incoming, keepNotNull }: ColumnRoles,
  migrationId: string,
): string[] {
  return partitions.flatMap((partition) => {
    const { column, own, without } = partition;
    const name = column === outgoing.column ? column : outgoingName;
    if (name === undefined) return [];
    const alter = `ALTER TABLE ${tableSql(partition)} ALTER COLUMN ${quoteIdentifier(name)}`;
    const properties =
      column === incoming.column
        ? { ...own, checks: [], notNull: false }
        : { ...own, notNull: own.notNull && keepNotNull };
    return [
      ...(without.defaultSql ? [`${alter} DROP DEFAULT`] : []),
      ...(without.statisticsTarget ? [`${alter} SET STATISTICS -1`] : []),
      ...applyPropertiesSql(partition, name, properties, migrationId),
    ];
  });
}
