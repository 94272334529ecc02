import { quoteIdentifier } from './identifiers.ts';
import { notEmbeddedSql } from './pending.ts';
import { tableSql, type VectorTarget } from './target.ts';
import { textSql } from './text-source.ts';

/**
 * The sizes of pending texts of a random part of the table's pages, in key order: `bytes`, and `count`, how many there were before every
 * n-th of them was taken. Only sizes are read, which a TOASTed text's header tells; blank texts are counted in. Parameters: the percentage
 * of the pages, then the number of rows to be returned, which may come out up to twice as large.
 */
export function textSizesSql(target: VectorTarget, modelId: number): string {
  const text = `${textSql(target.text, 't')}::text`;
  const order = target.key.map((column) => `t.${quoteIdentifier(column.name)}`).join(', ');
  return [
    `SELECT s.bytes, s.count FROM (`,
    `  SELECT pg_catalog.octet_length(${text}) AS bytes, pg_catalog.count(*) OVER ()::int AS count,`,
    `    pg_catalog.row_number() OVER (ORDER BY ${order}) AS position`,
    `  FROM ${tableSql(target)} t TABLESAMPLE SYSTEM ($1::float4)`,
    `  WHERE ${notEmbeddedSql(target, 't', modelId)} AND pg_catalog.octet_length(${text}) > 0) s`,
    `WHERE s.position % GREATEST(1, s.count / $2::int) = 0 ORDER BY s.position`,
  ].join('\n');
}
