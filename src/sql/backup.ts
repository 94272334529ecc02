import { quoteIdentifier, quoteQualified } from './identifiers.ts';
import { afterCursorSql } from './read-window.ts';
import { tableSql, textHashSql, type VectorTarget } from './target.ts';

/**
 * The next rows of a column in key order, all of them, NULL vectors too: key as text (`k0`, `k1`, …), `text_hash`, `vector` in its
 * binary form and, where the column has provenance, `model`, `hash`, `at`. Parameters: the cursor's values where asked, then the rows at most.
 */
export function backupWindowSql(target: VectorTarget, options: { readonly afterCursor: boolean }): string {
  const names = target.key.map((column) => `t.${quoteIdentifier(column.name)}`);
  const limit = options.afterCursor ? target.key.length + 1 : 1;
  return [
    ...backupRowsSql(target),
    ...(options.afterCursor ? [`WHERE ${afterCursorSql(target)}`] : []),
    `ORDER BY ${names.join(', ')} LIMIT $${limit}::bigint`,
  ].join('\n');
}

/** All rows with the same fields, in the order in which they lie: sorting them would write them to disk once more. */
export function backupCopySql(target: VectorTarget): string {
  return `COPY (${backupRowsSql(target).join('\n')}) TO STDOUT (FORMAT binary)`;
}

function backupRowsSql(target: VectorTarget): string[] {
  const send = quoteQualified(target.vectorSchema, `${target.vectorType}_send`);
  const columns = [
    ...target.key.map((column, i) => `t.${quoteIdentifier(column.name)}::text AS k${i}`),
    `${textHashSql(target.text, 't')} AS text_hash`,
    `${send}(t.${quoteIdentifier(target.column)}) AS vector`,
    ...provenanceColumnsSql(target),
  ];
  return [`SELECT ${columns.join(', ')}`, `FROM ${tableSql(target)} t`];
}

function provenanceColumnsSql(target: VectorTarget): string[] {
  if (target.provenance === undefined) return [];
  const { model, hash, at } = target.provenance;
  return [
    `t.${quoteIdentifier(model)} AS model`,
    `t.${quoteIdentifier(hash)} AS hash`,
    `t.${quoteIdentifier(at)}::text AS at`,
  ];
}

export interface RestoreOptions {
  /** Rows whose text is no longer that of the backup get their vector back too. */
  readonly includeEdited: boolean;
  /** Only count, write nothing. */
  readonly dryRun: boolean;
}

/**
 * Writes a batch of a backup back. Parameters, in order: one text array a key column, the texts' hashes (`bytea[]`), the vectors (binary
 * array of their type), then, where the column has provenance, models, hashes and times as arrays. Returns one row with `found` (keys
 * that are in the table), `edited` (of them, with another text than in the backup) and `written`.
 */
export function restoreBatchSql(target: VectorTarget, options: RestoreOptions): string {
  const keys = target.key.map((_, i) => `k${i}`);
  const next = keys.length + 1;
  const match = target.key.map((column, i) => `t.${quoteIdentifier(column.name)} = i.k${i}`).join(' AND ');
  const matchFound = target.key.map((column, i) => `t.${quoteIdentifier(column.name)} = f.k${i}`).join(' AND ');
  const order = target.key.map((column) => `t.${quoteIdentifier(column.name)}`).join(', ');
  const sameText = (alias: string): string =>
    `${textHashSql(target.text, 't')} IS NOT DISTINCT FROM ${alias}.text_hash`;
  const arrays = [
    ...target.key.map((column, i) => `$${i + 1}::text[]::${column.type}[]`),
    `$${next}::bytea[]`,
    `$${next + 1}::${quoteQualified(target.vectorSchema, target.vectorType)}[]`,
    ...(target.provenance === undefined
      ? []
      : [`$${next + 2}::integer[]`, `$${next + 3}::bytea[]`, `$${next + 4}::timestamptz[]`]),
  ];
  const fields = [...keys, 'text_hash', 'vector', ...(target.provenance === undefined ? [] : ['model', 'hash', 'at'])];
  const guard = options.includeEdited ? '' : ` AND ${sameText('f')}`;
  // Locked in key order, as every batch of ours, so that two writers cannot deadlock; the hash is checked again on the newest version.
  const lock = options.dryRun ? '' : ` ORDER BY ${order} FOR NO KEY UPDATE OF t`;
  const write = options.dryRun
    ? `SELECT 1 FROM f${options.includeEdited ? '' : ' WHERE f.same'}`
    : `UPDATE ${tableSql(target)} t SET ${assignmentsSql(target)} FROM f WHERE ${matchFound}${guard} RETURNING 1`;
  return [
    `WITH i AS MATERIALIZED (SELECT * FROM unnest(${arrays.join(', ')}) AS u(${fields.join(', ')})),`,
    `f AS MATERIALIZED (SELECT i.*, ${sameText('i')} AS same FROM ${tableSql(target)} t JOIN i ON ${match}${lock}),`,
    `w AS (${write})`,
    'SELECT (SELECT count(*)::int FROM f) AS found, (SELECT count(*)::int FROM f WHERE NOT same) AS edited, (SELECT count(*)::int FROM w) AS written',
  ].join('\n');
}

function assignmentsSql(target: VectorTarget): string {
  const vector = `${quoteIdentifier(target.column)} = f.vector`;
  if (target.provenance === undefined) return vector;
  const { model, hash, at } = target.provenance;
  return `${vector}, ${quoteIdentifier(model)} = f.model, ${quoteIdentifier(hash)} = f.hash, ${quoteIdentifier(at)} = f.at`;
}
