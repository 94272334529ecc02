import { textArrayLiteral } from './array-literal.ts';
import { fragmentSql, type SqlFragment } from './filter.ts';
import { quoteIdentifier, quoteQualified } from './identifiers.ts';
import { lexemeQuery, wordsSql } from './keyword-words.ts';
import { tableSql, type VectorTarget } from './target.ts';
import { type TextSource, textSql } from './text-source.ts';

/** How fast further occurrences of a word stop to count, and how much a text's length does: the customary values. */
export const BM25_K1 = 1.2;
export const BM25_B = 0.75;

/** The table whose words are searched. */
export type KeywordTarget = Pick<VectorTarget, 'schema' | 'table' | 'key'> & {
  readonly text: TextSource;
  /** A text search configuration, qualified and quoted. */
  readonly language: string;
};

export interface Statement {
  readonly text: string;
  readonly params: readonly unknown[];
}

/** A lexeme of the query with what a row gains by it at most. */
export interface WeightedTerm {
  readonly lexeme: string;
  readonly weight: number;
}

export interface KeywordConditions {
  readonly filter?: SqlFragment | undefined;
  readonly withoutVector?: string | undefined;
}

export interface IndexedSearch extends KeywordConditions {
  /** Lexemes by which rows are found, the rarest first. */
  readonly finding: readonly WeightedTerm[];
  /** All lexemes of the query: rows are scored by them. */
  readonly terms: readonly WeightedTerm[];
  /** The mean number of words of a row. */
  readonly averageLength: number;
  /** Entries of the index that are looked at: a row counts once for each lexeme by which it is found. */
  readonly maxEntries: number;
  /** Rows that are scored. */
  readonly candidates: number;
  readonly limit: number;
}

/**
 * The rows with the highest BM25. Postgres would parse a row's text anew to score it, which is what takes the time; so rows are found with the
 * index alone, a branch a lexeme, ordered by what their lexemes may come to at most (shorter texts first), and only the best of them are scored.
 * Beside key (`k0`, …), text and score each row says `entries`, of the index, and `rest`, the most that a row which was found and not
 * scored may come to: 0 where all were scored.
 */
export function indexedSearchSql(target: KeywordTarget, search: IndexedSearch): Statement {
  const { params, add } = parameters();
  const table = tableSql(target);
  const where = conditionsSql(search, params);
  const words = wordsSql(target.language, target.text, 't');
  const bytes = `pg_catalog.octet_length(${textSql(target.text, 't')}::pg_catalog.text)`;
  const branches = search.finding.map(
    ({ lexeme, weight }) =>
      `(SELECT t.tableoid AS part, t.ctid AS place, ${bytes} AS bytes, ${add(weight)}::float8 AS weight FROM ${table} t ` +
      `WHERE ${words} OPERATOR(pg_catalog.@@) ${add(lexemeQuery(lexeme))}::pg_catalog.tsquery${where})`,
  );
  const keys = target.key.map((key, i) => `t.${quoteIdentifier(key.name)} AS k${i}`).join(', ');
  const names = target.key.map((_, i) => `k${i}`);
  const candidates = `${add(search.candidates)}::int`;
  const text = [
    `WITH found AS MATERIALIZED (SELECT f.* FROM (${branches.join('\n    UNION ALL ')}) f LIMIT ${add(search.maxEntries)}::bigint),`,
    `ranked AS MATERIALIZED (SELECT r.*, pg_catalog.row_number() OVER (ORDER BY r.bound DESC, r.bytes, r.part, r.place) AS position FROM (`,
    `  SELECT part, place, pg_catalog.sum(weight) AS bound, pg_catalog.min(bytes) AS bytes FROM found GROUP BY part, place`,
    `  ORDER BY bound DESC, bytes, part, place LIMIT ${candidates} + 1) r),`,
    `scored AS (SELECT ${keys}, ${textSql(target.text, 't')}::pg_catalog.text AS text, s.score FROM ranked r`,
    `  JOIN ${table} t ON t.ctid = r.place AND t.tableoid = r.part`,
    `  CROSS JOIN LATERAL (SELECT pg_catalog.sum(pg_catalog.cardinality(u.positions))::float8 AS length,`,
    `    pg_catalog.array_agg(pg_catalog.cardinality(u.positions)::float8) FILTER (WHERE p.place IS NOT NULL) AS counts,`,
    `    pg_catalog.array_agg(p.place) FILTER (WHERE p.place IS NOT NULL) AS places`,
    `    FROM pg_catalog.unnest(${words}) u CROSS JOIN LATERAL (SELECT ${placeSql(add(lexemesOf(search.terms)))} AS place) p) w`,
    `  CROSS JOIN LATERAL (SELECT pg_catalog.sum((${add(numbersOf(search.terms.map(({ weight }) => weight)))}::float8[])[m.place] * ${saturationSql('m.count', 'w.length', `${add(search.averageLength)}::float8`)}) AS score`,
    `    FROM ROWS FROM (pg_catalog.unnest(w.counts), pg_catalog.unnest(w.places)) m(count, place)) s`,
    `  WHERE r.position <= ${candidates})`,
    `SELECT ${names.map((name) => `s.${name}::pg_catalog.text AS ${name}`).join(', ')}, s.text, s.score, (SELECT pg_catalog.count(*) FROM found)::float8 AS entries,`,
    `  COALESCE((SELECT bound FROM ranked WHERE position > ${candidates}), 0) AS rest`,
    `FROM scored s ORDER BY s.score DESC, ${names.map((name) => `s.${name}`).join(', ')} LIMIT ${add(search.limit)}::bigint`,
  ].join('\n');
  return { text, params };
}

export interface ScanSearch extends KeywordConditions {
  readonly query: string;
  readonly limit: number;
}

/** The same without an index and without statistics kept: every row is read, and the statistics come of this one look. */
export function scanSearchSql(target: KeywordTarget, search: ScanSearch): Statement {
  const { params, add } = parameters();
  const language = add(target.language);
  const query = add(search.query);
  const where = conditionsSql(search, params);
  const keys = target.key.map((key, i) => `t.${quoteIdentifier(key.name)} AS k${i}`).join(', ');
  const names = target.key.map((_, i) => `k${i}`);
  const text = [
    `WITH asked AS MATERIALIZED (SELECT pg_catalog.array_agg(u.lexeme) AS lexemes, pg_catalog.array_agg(pg_catalog.cardinality(u.positions)) AS times`,
    `  FROM pg_catalog.unnest(pg_catalog.to_tsvector(${language}::text::pg_catalog.regconfig, ${query}::text)) u),`,
    // Not d.*: with `words` among them each text would be taken apart twice.
    `documents AS MATERIALIZED (SELECT ${names.map((name) => `d.${name}`).join(', ')}, d.text, d.wanted, w.* FROM (`,
    `    SELECT ${keys}, ${textSql(target.text, 't')}::pg_catalog.text AS text, (true${where}) AS wanted, ${wordsSql(target.language, target.text, 't')} AS words FROM ${tableSql(target)} t) d`,
    `  CROSS JOIN asked a CROSS JOIN LATERAL (SELECT pg_catalog.sum(pg_catalog.cardinality(u.positions))::float8 AS length,`,
    `    pg_catalog.array_agg(pg_catalog.cardinality(u.positions)::float8) FILTER (WHERE p.place IS NOT NULL) AS counts,`,
    `    pg_catalog.array_agg(p.place) FILTER (WHERE p.place IS NOT NULL) AS places`,
    `    FROM pg_catalog.unnest(d.words) u CROSS JOIN LATERAL (SELECT ${placeSql('a.lexemes')} AS place) p) w WHERE w.length > 0),`,
    `corpus AS MATERIALIZED (SELECT pg_catalog.count(*)::float8 AS documents, pg_catalog.avg(length) AS average FROM documents),`,
    `terms AS MATERIALIZED (SELECT p.place, ${idfSql('c.documents', 'pg_catalog.count(*)')} * a.times[p.place] AS weight`,
    `  FROM documents d CROSS JOIN LATERAL pg_catalog.unnest(d.places) p(place) CROSS JOIN corpus c CROSS JOIN asked a GROUP BY p.place, c.documents, a.times)`,
    `SELECT ${names.map((name) => `d.${name}::pg_catalog.text AS ${name}`).join(', ')}, d.text, s.score FROM documents d CROSS JOIN corpus c CROSS JOIN LATERAL (`,
    `  SELECT pg_catalog.sum(t.weight * ${saturationSql('m.count', 'd.length', 'c.average')}) AS score`,
    `  FROM ROWS FROM (pg_catalog.unnest(d.counts), pg_catalog.unnest(d.places)) m(count, place) JOIN terms t ON t.place = m.place) s`,
    `WHERE d.wanted AND d.places IS NOT NULL ORDER BY s.score DESC, ${names.map((name) => `d.${name}`).join(', ')} LIMIT ${add(search.limit)}::bigint`,
  ].join('\n');
  return { text, params };
}

/**
 * The lexemes of a query with their statistics and the corpus's, in one look, so that all are of one count; one row without a lexeme where the
 * query has none, no row where nothing was counted. Parameters: the migration's id, the query.
 */
export function keywordTermsSql(stateSchema: string): string {
  return (
    `SELECT c.language, c.documents::float8 AS documents, c.tokens::float8 AS tokens, u.lexeme, pg_catalog.cardinality(u.positions) AS times, ` +
    `COALESCE(k.documents, 0)::float8 AS "withTerm" FROM ${quoteQualified(stateSchema, 'keyword_corpora')} c ` +
    `LEFT JOIN LATERAL pg_catalog.unnest(pg_catalog.to_tsvector(c.language::pg_catalog.regconfig, $2::text)) u ON true ` +
    `LEFT JOIN ${quoteQualified(stateSchema, 'keyword_terms')} k ON k.migration_id = c.migration_id AND k.generation = c.generation AND k.term = u.lexeme ` +
    `WHERE c.migration_id = $1 AND c.documents IS NOT NULL`
  );
}

/** Lucene's idf: ln(1 + (N − df + 0.5) / (df + 0.5)), which is never negative. */
function idfSql(documents: string, withTerm: string): string {
  return `pg_catalog.ln(1 + (${documents} - ${withTerm} + 0.5) / (${withTerm} + 0.5))`;
}

/** tf / (tf + k1 · (1 − b + b · length / average)), below 1. */
function saturationSql(count: string, length: string, average: string): string {
  return `${count} / (${count} + ${BM25_K1} * (${1 - BM25_B} + ${BM25_B} * ${length} / ${average}))`;
}

/** Bytes are compared: two words that a collation takes for equal are two lexemes. */
function placeSql(lexemes: string): string {
  return `pg_catalog.array_position(${lexemes}::pg_catalog.text[], u.lexeme COLLATE pg_catalog."C")`;
}

function lexemesOf(terms: readonly WeightedTerm[]): string {
  return textArrayLiteral(terms.map(({ lexeme }) => lexeme));
}

function numbersOf(values: readonly number[]): string {
  return `{${values.join(',')}}`;
}

/** ` AND …` over a row `t`, whose columns the filter may name alone. */
export function conditionsSql({ filter, withoutVector }: KeywordConditions, params: unknown[]): string {
  const conditions: string[] = [];
  if (filter !== undefined) {
    // The line break ends a comment in it.
    conditions.push(`(${fragmentSql(filter, params.length + 1)}\n)`);
    params.push(...filter.params);
  }
  if (withoutVector !== undefined) conditions.push(`t.${quoteIdentifier(withoutVector)} IS NULL`);
  return conditions.map((condition) => ` AND ${condition}`).join('');
}

/** Collects a statement's parameters: `add` gives the place of a value. */
export function parameters(): { readonly params: unknown[]; readonly add: (value: unknown) => string } {
  const params: unknown[] = [];
  return { params, add: (value) => `$${params.push(value)}` };
}
