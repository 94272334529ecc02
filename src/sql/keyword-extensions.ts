import { quoteIdentifier, quoteLiteral, quoteQualified } from './identifiers.ts';
import {
  conditionsSql,
  type KeywordConditions,
  type KeywordTarget,
  parameters,
  type Statement,
} from './keyword-search.ts';
import { tableSql } from './target.ts';
import { textSql } from './text-source.ts';

interface ExtensionSearch extends KeywordConditions {
  readonly query: string;
  readonly limit: number;
}

type ExtensionTarget = Omit<KeywordTarget, 'language'>;

/**
 * A search by ParadeDB's pg_search (0.20 and later): `|||` takes the query's words as alternatives, `pdb.score` is BM25 by the index's key field,
 * which is the table's key here. From its documentation (docs.paradedb.com/documentation/full-text/match, …/sorting/score); never run by us.
 */
export function pgSearchSql(target: ExtensionTarget, search: ExtensionSearch): Statement {
  const { params, add } = parameters();
  const where = conditionsSql(search, params);
  const key = `t.${quoteIdentifier(target.key[0]?.name ?? '')}`;
  const text = textSql(target.text, 't');
  const sql = [
    `SELECT s.k0::pg_catalog.text AS k0, s.text, s.score::float8 AS score FROM (`,
    `  SELECT ${key} AS k0, ${text}::pg_catalog.text AS text, pdb.score(${key}) AS score FROM ${tableSql(target)} t`,
    `  WHERE ${text} OPERATOR(pg_catalog.|||) ${add(search.query)}::text${where} ORDER BY score DESC, k0 LIMIT ${add(search.limit)}::bigint) s`,
    `ORDER BY s.score DESC, s.k0`,
  ].join('\n');
  return { text: sql, params };
}

/** Where VectorChord-bm25 finds the words: a `bm25vector` column, its index, and the tokenizer that made it. */
export interface VchordPlace {
  readonly column: string;
  readonly index: string;
  readonly tokenizer: string;
}

/**
 * A search by vchord_bm25 (0.2 and later) with pg_tokenizer: `<&>` is minus BM25, and 0 where no word is shared. From its documentation
 * (github.com/tensorchord/VectorChord-bm25); never run by us.
 */
export function vchordSql(
  target: ExtensionTarget,
  { column, index, tokenizer }: VchordPlace,
  search: ExtensionSearch,
): Statement {
  const { params, add } = parameters();
  const where = conditionsSql(search, params);
  const keys = target.key.map((key, i) => `t.${quoteIdentifier(key.name)}::pg_catalog.text AS k${i}`).join(', ');
  const names = target.key.map((_, i) => `k${i}`);
  const words = `tokenizer_catalog.tokenize(${add(search.query)}::text, ${add(tokenizer)}::text)::bm25_catalog.bm25vector`;
  const asked = `bm25_catalog.to_bm25query(${quoteLiteral(quoteQualified(target.schema, index))}::pg_catalog.regclass, ${words})`;
  const distance = `t.${quoteIdentifier(column)} OPERATOR(bm25_catalog.<&>) ${asked}`;
  const sql = [
    `SELECT ${names.map((name) => `s.${name}`).join(', ')}, s.text, -s.distance::float8 AS score FROM (`,
    `  SELECT ${keys}, ${textSql(target.text, 't')}::pg_catalog.text AS text, ${distance} AS distance FROM ${tableSql(target)} t`,
    `  WHERE t.${quoteIdentifier(column)} IS NOT NULL${where} ORDER BY ${distance} LIMIT ${add(search.limit)}::bigint) s`,
    `WHERE s.distance < 0 ORDER BY s.distance, ${names.map((name) => `s.${name}`).join(', ')}`,
  ].join('\n');
  return { text: sql, params };
}
