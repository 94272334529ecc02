import { quoteIdentifier } from './identifiers.ts';
import { notQuarantinedSql, pendingSql } from './pending.ts';
import { tableSql, type VectorTarget } from './target.ts';

export interface WindowOptions {
  readonly modelId: number;
  readonly migrationId: string;
  /** True when rows are read after a cursor, whose values are the first parameters, as text. */
  readonly afterCursor: boolean;
  /** Leave out rows that are in quarantine with this very text. */
  readonly skipQuarantined: boolean;
}

/**
 * The next window of pending rows in key order: key columns as text (`k0`, `k1`, …), the text, and `candidates`, how many rows
 * the limit of rows left. Bounded by rows and by bytes, whichever comes first, and never empty when a row is pending. Parameters: the cursor's values where asked, then rows, then bytes.
 */
export function readWindowSql(target: VectorTarget, options: WindowOptions): string {
  const cursor = options.afterCursor ? target.key.length : 0;
  const names = target.key.map((column) => `t.${quoteIdentifier(column.name)}`);
  const text = `t.${quoteIdentifier(target.text)}`;
  const where = [
    ...(options.afterCursor ? [afterCursorSql(target)] : []),
    pendingSql(target, 't', options.modelId),
    ...(options.skipQuarantined ? [notQuarantinedSql(target, 't', options.migrationId)] : []),
  ];
  const keyColumns = target.key.map((_, i) => `k${i}`);
  // octet_length reads a TOASTed text's size from its header: rows beyond the byte limit are counted, never fetched.
  return [
    `SELECT ${keyColumns.map((key) => `w.${key}::text AS ${key}`).join(', ')}, w.text::text AS text, w.candidates FROM (`,
    `  SELECT p.*, sum(pg_catalog.octet_length(p.text::text)) OVER (ORDER BY ${keyColumns.map((key) => `p.${key}`).join(', ')} ROWS UNBOUNDED PRECEDING) AS bytes,`,
    `    row_number() OVER (ORDER BY ${keyColumns.map((key) => `p.${key}`).join(', ')}) AS position, (count(*) OVER ())::int AS candidates FROM (`,
    `    SELECT ${names.map((name, i) => `${name} AS k${i}`).join(', ')}, ${text} AS text FROM ${tableSql(target)} t`,
    `    WHERE ${where.join('\n      AND ')}`,
    `    ORDER BY ${names.join(', ')} LIMIT $${cursor + 1}::bigint) p) w`,
    `WHERE w.bytes <= $${cursor + 2}::bigint OR w.position = 1`,
    `ORDER BY ${keyColumns.map((key) => `w.${key}`).join(', ')}`,
  ].join('\n');
}

/** `(a, b) > ($1, $2)`: keyset in row form, which one index range scan answers. */
export function afterCursorSql(target: Pick<VectorTarget, 'key'>): string {
  const names = target.key.map((column) => `t.${quoteIdentifier(column.name)}`);
  const values = target.key.map((column, i) => `$${i + 1}::text::${column.type}`);
  return `(${names.join(', ')}) > (${values.join(', ')})`;
}
