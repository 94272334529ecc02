import type { ColumnInfo, TableInfo } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import {
  type ColumnCheck,
  type ColumnGrant,
  type ColumnProperties,
  type ExchangedColumn,
  notNullCheckName,
  readUnvalidatedComment,
} from '../sql/exchange.ts';

/** Which column gives its name away in an exchange, and which takes it. */
export interface ColumnRoles {
  /** The column that gives its name away. */
  readonly outgoing: ExchangedColumn;
  /** Its new name; undefined drops it. */
  readonly outgoingName: string | undefined;
  /** The column that takes the name. */
  readonly incoming: ExchangedColumn;
  /** False leaves the name without its NOT NULL, because rows would violate it. */
  readonly keepNotNull: boolean;
}

/**
 * What belongs to a column's name: NOT NULL, DEFAULT, CHECKs, comment, statistics target, column privileges. What an earlier
 * exchange left to be validated counts as what it is to become.
 */
export async function readColumnProperties(
  db: Queryable,
  table: TableInfo,
  column: ColumnInfo,
  migrationId: string,
): Promise<ColumnProperties> {
  const checks = await readChecks(db, table.oid, column.name);
  const standIn = notNullCheckName(migrationId);
  const target = column.statisticsTarget;
  return {
    notNull: column.notNull || checks.some((check) => check.name === standIn),
    defaultSql: column.defaultSql ?? undefined,
    comment: column.comment ?? undefined,
    statisticsTarget: target === null || target < 0 ? undefined : target,
    grants: await readGrants(db, table.oid, column.name),
    checks: checks.filter((check) => check.name !== standIn),
  };
}

async function readGrants(db: Queryable, tableOid: number, column: string): Promise<ColumnGrant[]> {
  const { rows } = await db.query<{ grantee: string | null; privilege: string; grantable: boolean }>(
    `SELECT r.rolname AS grantee, x.privilege_type AS privilege, x.is_grantable AS grantable
     FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) x LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
     WHERE a.attrelid = $1 AND a.attname = $2 AND NOT a.attisdropped AND (x.grantee = 0 OR r.oid IS NOT NULL)
     ORDER BY 1, 2`,
    [tableOid, column],
  );
  return rows.map((row) => ({ ...row, grantee: row.grantee ?? undefined }));
}

async function readChecks(db: Queryable, tableOid: number, column: string): Promise<ColumnCheck[]> {
  const { rows } = await db.query<{ name: string; definition: string; validated: boolean; comment: string | null }>(
    `SELECT c.conname AS name, pg_catalog.pg_get_constraintdef(c.oid) AS definition, c.convalidated AS validated,
       pg_catalog.obj_description(c.oid, 'pg_constraint') AS comment
     FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
     WHERE c.conrelid = $1 AND c.contype = 'c' AND a.attname = $2 ORDER BY c.conname`,
    [tableOid, column],
  );
  return rows.map((row) => {
    const unvalidated = readUnvalidatedComment(row.comment ?? undefined);
    return {
      name: row.name,
      definition: row.definition.replace(/ NOT VALID$/, ''),
      validated: row.validated || unvalidated !== undefined,
      comment: unvalidated === undefined ? (row.comment ?? undefined) : unvalidated.original,
    };
  });
}
