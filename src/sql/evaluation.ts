import { quoteIdentifier, quoteLiteral } from './identifiers.ts';
import { adaptedSql, notEmbeddedSql } from './pending.ts';
import { tableSql, type VectorTarget } from './target.ts';
import { textSql } from './text-source.ts';

/** A vector column and the model that a row's vector has to be of; 0 where any vector counts. */
export interface ComparedColumn {
  readonly target: VectorTarget;
  readonly modelId: number;
}

/** Rows `t` that every column has a vector of its own model for, of the text as it is now. */
export function commonRowsSql(columns: readonly ComparedColumn[]): string {
  return columns.map(hasVectorSql).join(' AND ');
}

function hasVectorSql({ target, modelId }: ComparedColumn): string {
  return `(t.${quoteIdentifier(target.column)} IS NOT NULL AND NOT (${notEmbeddedSql(target, 't', modelId)}))`;
}

/** One row: `total`, `both`, `adapted` (of `both`, where an adapter made a vector), `withVector` (of whatever model, in any of the columns), and `side0`, `side1` … with a vector of its own model in each. */
export function countCommonSql(columns: readonly ComparedColumn[]): string {
  const [first] = columns;
  if (first === undefined) throw new RangeError('at least one column is compared');
  const counted = (condition: string): string => `pg_catalog.count(*) FILTER (WHERE ${condition})::float8`;
  const sides = columns.map((column, i) => `${counted(hasVectorSql(column))} AS side${i}`);
  const common = commonRowsSql(columns);
  const byAdapter = columns.map(({ target }) => adaptedSql(target, 't')).join(' OR ');
  const holds = columns.map(({ target }) => `t.${quoteIdentifier(target.column)} IS NOT NULL`);
  return (
    `SELECT pg_catalog.count(*)::float8 AS total, ${counted(common)} AS both, ` +
    `${counted(`${common} AND (${byAdapter})`)} AS adapted, ${counted(holds.join(' OR '))} AS "withVector", ${sides.join(', ')} FROM ${tableSql(first.target)} t`
  );
}

/** One row: whether the column has a vector at all; reads no further than to the first. */
export function hasVectorsSql(target: VectorTarget): string {
  return `SELECT EXISTS (SELECT 1 FROM ${tableSql(target)} t WHERE t.${quoteIdentifier(target.column)} IS NOT NULL) AS found`;
}

/** Common rows whose vector was `written` after $1, by the column that says when. */
export function changedSinceSql(columns: readonly ComparedColumn[], atColumn: string): string {
  const [first] = columns;
  if (first === undefined) throw new RangeError('at least one column is compared');
  return (
    `SELECT pg_catalog.count(*)::float8 AS written FROM ${tableSql(first.target)} t ` +
    `WHERE ${commonRowsSql(columns)} AND t.${quoteIdentifier(atColumn)} > $1::pg_catalog.timestamptz`
  );
}

/**
 * Looks keys up: `n` (1 for the first), the key as the table writes it (`k0` …) and whether the row is common. Parameters: a text[] a
 * column of the key. Keys that are not in the table are left out.
 */
export function findKeysSql(columns: readonly ComparedColumn[]): string {
  const [first] = columns;
  if (first === undefined) throw new RangeError('at least one column is compared');
  const { key } = first.target;
  // An array a call: unnest takes several only under its bare name, which a schema on the search path could shadow.
  const arrays = key.map((_, i) => `pg_catalog.unnest($${i + 1}::pg_catalog.text[])`).join(', ');
  const names = key.map((_, i) => `v${i}`).join(', ');
  const joins = key.map(({ name, type }, i) => `t.${quoteIdentifier(name)} = u.v${i}::${type}`).join(' AND ');
  return (
    `SELECT u.n::int AS n, ${keysSql(first.target)}, (${commonRowsSql(columns)}) AS common ` +
    `FROM ROWS FROM (${arrays}) WITH ORDINALITY AS u(${names}, n) JOIN ${tableSql(first.target)} t ON ${joins}`
  );
}

/**
 * Known items: values of an expression that stand in few rows, each with the keys of those. Parameters: the seed, the number of values,
 * the rows that may share one. A row a line: `query`, `k0` …; `left_out` counts the values in more rows.
 */
export function knownItemsSql(columns: readonly ComparedColumn[], itemSql: string): string {
  const [first] = columns;
  if (first === undefined) throw new RangeError('at least one column is compared');
  const rows =
    `SELECT ${keysSql(first.target)}, (${itemSql}) COLLATE pg_catalog."C" AS query ` +
    `FROM ${tableSql(first.target)} t WHERE ${commonRowsSql(columns)}`;
  return (
    `WITH items AS MATERIALIZED (${rows}), ` +
    `counted AS (SELECT query, pg_catalog.count(*) AS rows FROM items WHERE query ~ '[^[:space:]]' GROUP BY query), ` +
    `drawn AS (SELECT query FROM counted WHERE rows <= $3::bigint ORDER BY pg_catalog.md5(query || $1::text), query LIMIT $2::bigint) ` +
    `SELECT i.*, (SELECT pg_catalog.count(*) FROM counted WHERE rows > $3::bigint)::float8 AS left_out ` +
    `FROM items i JOIN drawn USING (query) ORDER BY pg_catalog.md5(i.query || $1::text), i.query, ${first.target.key.map((_, k) => `i.k${k}`).join(', ')}`
  );
}

/** The value of a column, for `knownItemsSql`. */
export function columnItemSql(column: string): string {
  return `t.${quoteIdentifier(column)}::text`;
}

/** Characters of a text in which its first sentence has to end. */
const READ_CHARACTERS = 400;
/**
 * Not greedy from its first atom on, so that the shortest match counts; at least 15 characters, so that "e.g." ends none. By their numbers
 * 。！？, which not every database's encoding has.
 */
const FIRST_SENTENCE = '^(.{15,250}?(?:[.!?](?=[[:space:]])|[\\u3002\\uff01\\uff1f])).{20,}';

/** The first sentence of the text, NULL where it has none of a fair length, or nothing stands behind it. */
export function firstSentenceSql(target: Pick<VectorTarget, 'text'>): string {
  const text = `pg_catalog.ltrim(pg_catalog.left(${textSql(target.text, 't')}::text, ${READ_CHARACTERS})) COLLATE pg_catalog."C"`;
  return `(pg_catalog.regexp_match(${text}, ${quoteLiteral(FIRST_SENTENCE)}))[1]`;
}

function keysSql(target: VectorTarget): string {
  return target.key.map((column, i) => `t.${quoteIdentifier(column.name)}::text AS k${i}`).join(', ');
}
