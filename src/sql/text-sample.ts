import { quoteIdentifier } from './identifiers.ts';
import { tableSql, type VectorTarget } from './target.ts';
import { textSql } from './text-source.ts';

/** Characters of a text that are read: more than a model reads of it, and no sample becomes gigabytes. */
const READ_CHARACTERS = 16_384;

/**
 * Texts of a random part of the table's pages: `page`, `text` (its beginning; NULL where it is NULL), `bytes`, its whole size, and `done`. Parameters:
 * the percentage of the pages, then the number of rows to be returned, which may come out up to twice as large: every n-th row in key order.
 *
 * @param doneColumn not NULL where this migration has embedded the row
 */
export function textSampleSql(
  target: Pick<VectorTarget, 'schema' | 'table' | 'key' | 'text'>,
  doneColumn: string | undefined,
): string {
  const text = `${textSql(target.text, 't')}::text`;
  const key = target.key.map((column) => `t.${quoteIdentifier(column.name)}`);
  const done = doneColumn === undefined ? 'false' : `t.${quoteIdentifier(doneColumn)} IS NOT NULL`;
  const order = key.length === 0 ? 't.tableoid, t.ctid' : key.join(', ');
  return [
    `SELECT s.page, s.bytes, s.done, pg_catalog.left(s.text, ${READ_CHARACTERS}) AS text FROM (`,
    `  SELECT pg_catalog.dense_rank() OVER (ORDER BY t.tableoid, (t.ctid::text::pg_catalog.point)[0])::int AS page, ${done} AS done, ${text} AS text,`,
    `    COALESCE(pg_catalog.octet_length(${text}), 0) AS bytes, pg_catalog.count(*) OVER ()::int AS count,`,
    `    pg_catalog.row_number() OVER (ORDER BY ${order}) AS position`,
    `  FROM ${tableSql(target)} t TABLESAMPLE SYSTEM ($1::float4)) s`,
    `WHERE s.position % GREATEST(1, s.count / $2::int) = 0 ORDER BY s.position`,
  ].join('\n');
}
