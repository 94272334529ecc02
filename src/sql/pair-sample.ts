import { type ComparedColumn, commonRowsSql } from './evaluation.ts';
import { quoteIdentifier, quoteQualified } from './identifiers.ts';
import { embeddableSql, keyJsonSql, notEmbeddedSql } from './pending.ts';
import { tableSql, textHashSql, type VectorTarget } from './target.ts';
import { textSql } from './text-source.ts';

/**
 * Keys of rows with a text and a vector, each text once, spread evenly over the table: in key order the rows are cut into blocks, in a block
 * they are put in order of their text's size, and of so many neighbours in this order one is drawn. `k0` … as text, in that order. Nothing but
 * the drawn part of the pages is read, and of that the texts of so many candidates. Parameters: the percentage of the pages, the seed,
 * the rows, the candidates, the blocks.
 */
export function drawKeysSql(column: ComparedColumn): string {
  const { target } = column;
  const draw = `pg_catalog.md5(${keyJsonSql(target, 't')}::text || $2::text)`;
  const own = target.key.map(({ name }, i) => `t.${quoteIdentifier(name)} AS k${i}`).join(', ');
  const keys = target.key.map((_, i) => `k${i}`);
  return [
    'WITH candidates AS MATERIALIZED (',
    `  SELECT ${own}, ${draw} AS draw, pg_catalog.octet_length(${textSql(target.text, 't')}::text) AS bytes, ${textHashSql(target.text, 't')} AS hash`,
    `  FROM (SELECT t.* FROM ${tableSql(target)} t TABLESAMPLE SYSTEM ($1::float4) REPEATABLE ($2::text::float8)`,
    `    WHERE ${commonRowsSql([column])} ORDER BY ${draw} LIMIT $4::bigint) t`,
    `  WHERE ${embeddableSql(target, 't')}),`,
    'once AS (SELECT DISTINCT ON (hash) * FROM candidates ORDER BY hash, draw),',
    `blocks AS (SELECT *, pg_catalog.ntile($5::int) OVER (ORDER BY ${keys.join(', ')}) AS block FROM once),`,
    'placed AS (SELECT *, pg_catalog.row_number() OVER (ORDER BY block, bytes, draw) AS place, pg_catalog.count(*) OVER () AS count FROM blocks),',
    'cells AS (SELECT *, (place - 1) * LEAST($3::bigint, count) / count AS cell FROM placed)',
    `SELECT DISTINCT ON (cell) ${keys.map((key) => `${key}::text AS ${key}`).join(', ')} FROM cells ORDER BY cell, draw`,
  ].join('\n');
}

/** What `readPairsSql` reads of a row beside its text and its old vector. */
export interface PairColumns {
  readonly old: ComparedColumn;
  /** The new column and the model that a vector in it has to be of; undefined where there is none to read. */
  readonly fresh: ComparedColumn | undefined;
  /** SQL over `t`: what is asked for the row. */
  readonly item: string | undefined;
}

/**
 * Rows by their keys: `n` (1 for the first key), `text`, `old` and `fresh` in pgvector's binary form (`fresh` NULL where the model itself did not make it
 * of this text), `made_by` (the old vector's model id, NULL where nobody recorded it), `item`. Parameters: a text[] a column of the key. A row
 * that has no text or no old vector any more is left out.
 */
export function readPairsSql({ old, fresh, item }: PairColumns): string {
  const { target } = old;
  const arrays = target.key.map((_, i) => `pg_catalog.unnest($${i + 1}::pg_catalog.text[])`).join(', ');
  const names = target.key.map((_, i) => `v${i}`).join(', ');
  const joins = target.key.map(({ name, type }, i) => `t.${quoteIdentifier(name)} = u.v${i}::${type}`).join(' AND ');
  const madeBy = target.provenance === undefined ? 'NULL::int' : `t.${quoteIdentifier(target.provenance.model)}`;
  return [
    `SELECT u.n::int AS n, ${textSql(target.text, 't')}::text AS text, ${sendSql(target)} AS old, ${freshSql(fresh)} AS fresh,`,
    `  ${madeBy} AS made_by, ${item ?? 'NULL::text'} AS item`,
    `FROM ROWS FROM (${arrays}) WITH ORDINALITY AS u(${names}, n) JOIN ${tableSql(target)} t ON ${joins}`,
    `WHERE ${commonRowsSql([old])} AND ${embeddableSql(target, 't')} ORDER BY u.n`,
  ].join('\n');
}

/** Adapted vectors, and those that the application writes after the swap, are not the model's as far as anybody knows. */
function freshSql(fresh: ComparedColumn | undefined): string {
  if (fresh === undefined) return 'NULL::bytea';
  const strict = { ...fresh.target, adapted: undefined, onlyMissing: false };
  return `CASE WHEN NOT (${notEmbeddedSql(strict, 't', fresh.modelId)}) THEN ${sendSql(fresh.target)} END`;
}

function sendSql({ column, vectorSchema, vectorType }: VectorTarget): string {
  const own = `t.${quoteIdentifier(column)}`;
  const vector = vectorType === 'vector' ? own : `${own}::${quoteQualified(vectorSchema, 'vector')}`;
  return `${quoteQualified(vectorSchema, 'vector_send')}(${vector})`;
}
