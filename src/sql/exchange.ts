import { fitIdentifier, quoteIdentifier, quoteLiteral } from './identifiers.ts';
import { type ProvenanceColumns, provenanceOf, tableSql } from './target.ts';

interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** A vector column with the provenance columns that it has, if any. */
export interface ExchangedColumn {
  readonly column: string;
  readonly provenance: ProvenanceColumns | undefined;
}

export interface ColumnGrant {
  /** Undefined is PUBLIC. */
  readonly grantee: string | undefined;
  readonly privilege: string;
  readonly grantable: boolean;
}

export interface ColumnCheck {
  readonly name: string;
  /** `CHECK (…)` with its NO INHERIT, as pg_get_constraintdef gives it, without NOT VALID. */
  readonly definition: string;
  readonly validated: boolean;
  readonly comment: string | undefined;
}

/** What an application means by a column's name, apart from its values. */
export interface ColumnProperties {
  readonly notNull: boolean;
  readonly defaultSql: string | undefined;
  readonly comment: string | undefined;
  /** Undefined is the system's default. */
  readonly statisticsTarget: number | undefined;
  readonly grants: readonly ColumnGrant[];
  readonly checks: readonly ColumnCheck[];
}

/** The comment of a CHECK that has yet to be validated, before its own one: tells a person, and the next run, what is left to do. */
const UNVALIDATED = 'reembed: added without a scan, to be validated';

/** `COMMENT` text of a CHECK on its way; `undefined` when the comment is not one of ours. */
export function readUnvalidatedComment(
  comment: string | undefined,
): { readonly original: string | undefined } | undefined {
  if (comment === UNVALIDATED) return { original: undefined };
  if (comment?.startsWith(`${UNVALIDATED}\n`) !== true) return undefined;
  return { original: comment.slice(UNVALIDATED.length + 1) };
}

function unvalidatedComment(original: string | undefined): string {
  return original === undefined ? UNVALIDATED : `${UNVALIDATED}\n${original}`;
}

/** The CHECK that stands for NOT NULL until every row has been looked at outside the lock. */
export function notNullCheckName(migrationId: string): string {
  return fitIdentifier('reembed_not_null_', migrationId);
}

/** Removes from a column what belongs to its name. */
export function stripPropertiesSql(
  table: TableName,
  column: string,
  properties: ColumnProperties,
  migrationId: string,
): string[] {
  const alter = `ALTER TABLE ${tableSql(table)}`;
  const name = quoteIdentifier(column);
  return [
    ...properties.checks.map((check) => `${alter} DROP CONSTRAINT ${quoteIdentifier(check.name)}`),
    ...(properties.notNull
      ? [
          `${alter} ALTER COLUMN ${name} DROP NOT NULL`,
          `${alter} DROP CONSTRAINT IF EXISTS ${quoteIdentifier(notNullCheckName(migrationId))}`,
        ]
      : []),
    ...(properties.defaultSql === undefined ? [] : [`${alter} ALTER COLUMN ${name} DROP DEFAULT`]),
    ...(properties.comment === undefined ? [] : [commentOnColumnSql(table, column, undefined)]),
    ...(properties.statisticsTarget === undefined ? [] : [`${alter} ALTER COLUMN ${name} SET STATISTICS -1`]),
    ...[...new Set(properties.grants.map((grant) => granteeSql(grant.grantee)))].map(
      (grantee) => `REVOKE ALL (${name}) ON TABLE ${tableSql(table)} FROM ${grantee} CASCADE`,
    ),
  ];
}

/**
 * Gives a column what belongs to its name. NOT NULL becomes a CHECK, and CHECKs come NOT VALID: both hold for every new row at once,
 * and are validated after the commit without a lock that anybody notices.
 */
export function applyPropertiesSql(
  table: TableName,
  column: string,
  properties: ColumnProperties,
  migrationId: string,
): string[] {
  const alter = `ALTER TABLE ${tableSql(table)}`;
  const name = quoteIdentifier(column);
  const notNull = `CHECK (${name} IS NOT NULL)`;
  return [
    ...(properties.defaultSql === undefined
      ? []
      : [`${alter} ALTER COLUMN ${name} SET DEFAULT ${properties.defaultSql}`]),
    ...(properties.comment === undefined ? [] : [commentOnColumnSql(table, column, properties.comment)]),
    ...(properties.statisticsTarget === undefined
      ? []
      : [`${alter} ALTER COLUMN ${name} SET STATISTICS ${properties.statisticsTarget}`]),
    ...properties.grants.map((grant) => grantSql(table, column, grant)),
    ...properties.checks.flatMap((check) => addCheckSql(table, check)),
    ...(properties.notNull
      ? [`${alter} ADD CONSTRAINT ${quoteIdentifier(notNullCheckName(migrationId))} ${notNull} NOT VALID`]
      : []),
  ];
}

function addCheckSql(table: TableName, check: ColumnCheck): string[] {
  const name = quoteIdentifier(check.name);
  const comment = check.validated ? unvalidatedComment(check.comment) : check.comment;
  return [
    `ALTER TABLE ${tableSql(table)} ADD CONSTRAINT ${name} ${check.definition} NOT VALID`,
    ...(comment === undefined ? [] : [commentOnConstraintSql(table, check.name, comment)]),
  ];
}

export function commentOnConstraintSql(table: TableName, constraint: string, comment: string | undefined): string {
  const text = comment === undefined ? 'NULL' : quoteLiteral(comment);
  return `COMMENT ON CONSTRAINT ${quoteIdentifier(constraint)} ON ${tableSql(table)} IS ${text}`;
}

function commentOnColumnSql(table: TableName, column: string, comment: string | undefined): string {
  const text = comment === undefined ? 'NULL' : quoteLiteral(comment);
  return `COMMENT ON COLUMN ${tableSql(table)}.${quoteIdentifier(column)} IS ${text}`;
}

function granteeSql(grantee: string | undefined): string {
  return grantee === undefined ? 'PUBLIC' : quoteIdentifier(grantee);
}

function grantSql(table: TableName, column: string, grant: ColumnGrant): string {
  if (!/^[A-Z]+$/.test(grant.privilege)) throw new RangeError(`not a privilege: ${grant.privilege}`);
  const option = grant.grantable ? ' WITH GRANT OPTION' : '';
  return `GRANT ${grant.privilege} (${quoteIdentifier(column)}) ON TABLE ${tableSql(table)} TO ${granteeSql(grant.grantee)}${option}`;
}

/** Renames a vector column; provenance columns, where it has them, take the names that go with the new one. */
export function renameVectorColumnSql(table: TableName, from: ExchangedColumn, to: string): string[] {
  const rename = (a: string, b: string): string =>
    `ALTER TABLE ${tableSql(table)} RENAME COLUMN ${quoteIdentifier(a)} TO ${quoteIdentifier(b)}`;
  const statements = [rename(from.column, to)];
  if (from.provenance === undefined) return statements;
  const names = provenanceOf(to);
  statements.push(
    rename(from.provenance.model, names.model),
    rename(from.provenance.hash, names.hash),
    rename(from.provenance.at, names.at),
  );
  return statements;
}

/** Drops a vector column with the provenance columns that it has. */
export function dropVectorColumnSql(table: TableName, column: ExchangedColumn): string {
  const provenance =
    column.provenance === undefined ? [] : [column.provenance.model, column.provenance.hash, column.provenance.at];
  const drops = [column.column, ...provenance].map((name) => `DROP COLUMN ${quoteIdentifier(name)}`);
  return `ALTER TABLE ${tableSql(table)} ${drops.join(', ')}`;
}

/** The name of the old column beside the new one. */
export function keptColumnName(column: string): string {
  return fitIdentifier(column, '_old');
}

/** The name of an old index beside the kept column. */
export function keptIndexName(index: string): string {
  return fitIdentifier(index, '_old');
}

/** The name under which an index is built before the exchange. */
export function buildingIndexName(index: string): string {
  return fitIdentifier(index, '_reembed');
}

/** The partial index that makes the look at pending rows under the lock instant. */
export function pendingIndexName(migrationId: string): string {
  return fitIdentifier('reembed_pending_', migrationId);
}
