import { quoteIdentifier, quoteQualified } from './identifiers.ts';
import type { KeywordTarget } from './keyword-search.ts';
import { wordsSql } from './keyword-words.ts';
import { tableSql } from './target.ts';

/**
 * Counts the words of the next rows in key order: a row for each lexeme with `documents`, the rows that have it, and `tokens`, its occurrences; and
 * one without a lexeme whose `documents` are the rows that have any, with the key of the last row (`k0`, …), NULL when there was none.
 * Parameters: the cursor's values where asked, then rows.
 */
export function countWindowSql(target: KeywordTarget, afterCursor: boolean): string {
  const columns = target.key.map((key) => `t.${quoteIdentifier(key.name)}`);
  const names = target.key.map((_, i) => `k${i}`);
  const cursor = target.key.map((key, i) => `$${i + 1}::text::${key.type}`).join(', ');
  const where = afterCursor ? ` WHERE (${columns.join(', ')}) > (${cursor})` : '';
  const rows = `$${afterCursor ? target.key.length + 1 : 1}::bigint`;
  const last = names.map((name) => `(SELECT ${name} FROM last) AS ${name}`).join(', ');
  return [
    `WITH w AS MATERIALIZED (SELECT ${columns.map((column, i) => `${column} AS k${i}`).join(', ')}, ${wordsSql(target.language, target.text, 't')} AS words`,
    `  FROM ${tableSql(target)} t${where} ORDER BY ${columns.join(', ')} LIMIT ${rows}),`,
    `last AS (SELECT ${names.map((name) => `${name}::text AS ${name}`).join(', ')} FROM w ORDER BY ${names.map((name) => `w.${name} DESC`).join(', ')} LIMIT 1)`,
    `SELECT u.lexeme, pg_catalog.count(*)::float8 AS documents, pg_catalog.sum(pg_catalog.cardinality(u.positions))::float8 AS tokens, ${names.map((name) => `NULL::text AS ${name}`).join(', ')}`,
    `  FROM w CROSS JOIN LATERAL pg_catalog.unnest(w.words) u GROUP BY u.lexeme`,
    `UNION ALL SELECT NULL, (SELECT pg_catalog.count(*) FROM w WHERE pg_catalog.length(w.words) > 0)::float8, 0, ${last}`,
  ].join('\n');
}

/** Adds to the counts of a generation. Parameters: the migration's id, the generation, lexemes, their counts. */
export function addTermsSql(stateSchema: string): string {
  const terms = quoteQualified(stateSchema, 'keyword_terms');
  return (
    `INSERT INTO ${terms} AS k (migration_id, generation, term, documents) ` +
    `SELECT $1, $2::int, u.term, u.documents FROM ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::bigint[])) u(term, documents) ORDER BY u.term ` +
    `ON CONFLICT (migration_id, generation, term) DO UPDATE SET documents = k.documents + excluded.documents`
  );
}
