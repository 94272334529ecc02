import { quoteIdentifier, quoteLiteral } from './identifiers.ts';
import { notQuarantinedSql, pendingSql } from './pending.ts';
import { tableSql, type VectorTarget } from './target.ts';
import { textSql } from './text-source.ts';

export interface WindowOptions {
  readonly modelId: number;
  readonly migrationId: string;
  /** True when rows are read after a cursor, whose values are the first parameters, as text. */
  readonly afterCursor: boolean;
  /** Leave out rows that are in quarantine with this very text. */
  readonly skipQuarantined: boolean;
  /** True when rows are read up to a key, whose values are the last parameters, as text. */
  readonly bounded?: boolean;
}

/**
 * The next window of pending rows in key order: key columns as text (`k0`, `k1`, …), the text, `version` (`xmin`, see
 * `batchWriteSql`), `part`, the OID of the partition that it is in (NULL in an ordinary table), and `last`, true (else NULL) for the row
 * behind which the limit of rows met none. Bounded by rows and by bytes, whichever comes first, and never empty when a row is pending.
 * Parameters: the cursor's values where asked, then rows, then bytes, then the bound's values where asked.
 */
export function readWindowSql(target: VectorTarget, options: WindowOptions): string {
  const cursor = options.afterCursor ? target.key.length : 0;
  const names = target.key.map((column) => `t.${quoteIdentifier(column.name)}`);
  const text = textSql(target.text, 't');
  const where = [
    ...(options.afterCursor ? [afterCursorSql(target)] : []),
    ...(options.bounded === true ? [compareKeySql(target, '<=', cursor + 3)] : []),
    pendingSql(target, 't', options.modelId),
    ...(options.skipQuarantined ? [notQuarantinedSql(target, 't', options.migrationId)] : []),
  ];
  const keyColumns = target.key.map((_, i) => `k${i}`);
  const order = (alias: string): string => keyColumns.map((key) => `${alias}.${key}`).join(', ');
  // octet_length reads a TOASTed text's size from its header: rows beyond the byte limit are counted, never fetched.
  return [
    `SELECT ${keyColumns.map((key) => `w.${key}::text AS ${key}`).join(', ')}, w.text::text AS text, w.version::text AS version, w.part::text AS part, w.last FROM (`,
    `  SELECT p.*, sum(pg_catalog.octet_length(p.text::text)) OVER by_key AS bytes, row_number() OVER by_key AS position,`,
    `    NULLIF(pg_catalog.lead(p.k0) OVER by_key IS NULL, false) AS last FROM (`,
    `    SELECT ${names.map((name, i) => `${name} AS k${i}`).join(', ')}, ${text} AS text, t.xmin AS version, ${partitionSql(target)} AS part FROM ${tableSql(target)} t`,
    `    WHERE ${where.join('\n      AND ')}`,
    `    ORDER BY ${names.join(', ')} LIMIT $${cursor + 1}::bigint) p`,
    `  WINDOW by_key AS (ORDER BY ${order('p')} ROWS UNBOUNDED PRECEDING)) w`,
    `WHERE w.bytes <= $${cursor + 2}::bigint OR w.position = 1`,
    `ORDER BY ${order('w')}`,
  ].join('\n');
}

/** The OID of the partition that a row is in; NULL in an ordinary table. */
export function partitionSql(target: VectorTarget): string {
  return `NULLIF(t.tableoid, ${quoteLiteral(tableSql(target))}::pg_catalog.regclass::pg_catalog.oid)`;
}

/** The greatest key of the table, as text (`k0`, `k1`, …): one step into the index. */
export function lastKeySql(target: VectorTarget): string {
  const names = target.key.map((column) => `t.${quoteIdentifier(column.name)}`);
  const order = names.map((name) => `${name} DESC`).join(', ');
  return `SELECT ${names.map((name, i) => `${name}::text AS k${i}`).join(', ')} FROM ${tableSql(target)} t ORDER BY ${order} LIMIT 1`;
}

/** `(a, b) > ($1, $2)`: keyset in row form, which one index range scan answers. */
export function afterCursorSql(target: Pick<VectorTarget, 'key'>): string {
  return compareKeySql(target, '>', 1);
}

function compareKeySql(target: Pick<VectorTarget, 'key'>, operator: '>' | '<=', firstParam: number): string {
  return compareRowSql(
    target,
    operator,
    target.key.map((_, i) => `$${firstParam + i}`),
  );
}

/** @param texts SQL of the key's values as text */
export function compareRowSql(
  target: Pick<VectorTarget, 'key'>,
  operator: '>' | '<=',
  texts: readonly string[],
): string {
  const names = target.key.map((column) => `t.${quoteIdentifier(column.name)}`);
  const values = target.key.map((column, i) => `${texts[i]}::text::${column.type}`);
  return `(${names.join(', ')}) ${operator} (${values.join(', ')})`;
}
