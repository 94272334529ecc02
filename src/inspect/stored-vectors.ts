import type { Queryable } from '../db/types.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { embeddableSql, keyJsonSql } from '../sql/pending.ts';
import { tableSql, textHashSql, type VectorTarget } from '../sql/target.ts';

/** Lengths of all stored vectors, and what is wrong with them. */
export interface Norms {
  readonly vectors: number;
  /** Of the vectors with finite values; NaN without any. */
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly zero: number;
  readonly notFinite: number;
  /** Vectors whose length is not 1 within 0.001. */
  readonly notUnit: number;
}

const UNIT_TOLERANCE = 1e-3;
const SHOWN_KEYS = 10;

/** The vector as type `vector`, which has the functions in every version of pgvector. */
export function vectorSql(target: VectorTarget, alias: string): string {
  const column = `${alias}.${quoteIdentifier(target.column)}`;
  return target.vectorType === 'vector' ? column : `${column}::${quoteQualified(target.vectorSchema, 'vector')}`;
}

export function keyListSql(target: VectorTarget, alias: string): string {
  return target.key.map((column, i) => `${alias}.${quoteIdentifier(column.name)}::text AS k${i}`).join(', ');
}

export function keyOf(target: VectorTarget, row: Readonly<Record<string, unknown>>): string[] {
  return target.key.map((_, i) => String(row[`k${i}`]));
}

/** E.g. `1, 2 and 3 more`; composite keys in parentheses. */
export function describeKeys(keys: readonly (readonly string[])[]): string {
  const shown = keys.slice(0, SHOWN_KEYS).map((key) => (key.length === 1 ? (key[0] ?? '') : `(${key.join(', ')})`));
  return keys.length > SHOWN_KEYS ? `${shown.join(', ')} and more` : shown.join(', ');
}

export function normSql(target: VectorTarget): string {
  return `${quoteQualified(target.vectorSchema, 'vector_norm')}(${vectorSql(target, 't')})`;
}

/** A condition on `n`, the length of a vector. */
export const HAS_LENGTH_ONE = `abs(n - 1) < ${UNIT_TOLERANCE}`;

/** The same for what is wrong with one. */
export const LENGTH_FAULTS = {
  zero: 'n = 0',
  'not-finite': "(n = 'NaN' OR n = 'Infinity')",
  'not-normalised': `abs(n - 1) >= ${UNIT_TOLERANCE} AND n <> 'NaN'`,
} as const;

/** One pass over the table; the lengths are computed by the server, so that no vector travels. */
export async function readNorms(db: Queryable, target: VectorTarget): Promise<Norms> {
  const finite = `NOT ${LENGTH_FAULTS['not-finite']}`;
  const { rows } = await db.query<Norms>(
    `SELECT count(*)::float8 AS vectors, COALESCE(min(n) FILTER (WHERE ${finite}), 'NaN') AS min,
       COALESCE(avg(n) FILTER (WHERE ${finite}), 'NaN') AS mean, COALESCE(max(n) FILTER (WHERE ${finite}), 'NaN') AS max,
       count(*) FILTER (WHERE ${LENGTH_FAULTS.zero})::float8 AS zero, count(*) FILTER (WHERE ${LENGTH_FAULTS['not-finite']})::float8 AS "notFinite",
       count(*) FILTER (WHERE ${LENGTH_FAULTS['not-normalised']})::float8 AS "notUnit"
     FROM (SELECT ${normSql(target)} AS n FROM ${tableSql(target)} t WHERE t.${quoteIdentifier(target.column)} IS NOT NULL) v`,
  );
  const row = rows[0];
  if (row === undefined) throw new Error(`no norms of ${target.schema}.${target.table}`);
  return row;
}

/** The first keys of vectors with a fault, in key order. */
export async function findBadVectors(
  db: Queryable,
  target: VectorTarget,
  kind: keyof typeof LENGTH_FAULTS,
): Promise<string[][]> {
  const { rows } = await db.query(
    `SELECT ${target.key.map((_, i) => `k${i}`).join(', ')} FROM (SELECT ${keyListSql(target, 't')}, ${normSql(target)} AS n
       FROM ${tableSql(target)} t WHERE t.${quoteIdentifier(target.column)} IS NOT NULL ORDER BY ${orderSql(target)}) v
     WHERE ${LENGTH_FAULTS[kind]} LIMIT ${SHOWN_KEYS + 1}`,
  );
  return rows.map((row) => keyOf(target, row));
}

export function orderSql(target: VectorTarget): string {
  return target.key.map((column) => `t.${quoteIdentifier(column.name)}`).join(', ');
}

/** A condition on rows `t`: there is a vector and a text. */
export function withTextSql(target: VectorTarget): string {
  return `t.${quoteIdentifier(target.column)} IS NOT NULL AND ${embeddableSql(target, 't')}`;
}

/** Rows in an order that the seed decides and nothing else; parameters: the seed, and how many. */
export function sampleSql(target: VectorTarget, where: string): string {
  return `${where} ORDER BY ${seededOrderSql(target)} LIMIT $2::bigint`;
}

/** An order of rows that the seed, the first parameter, decides. */
export function seededOrderSql(target: VectorTarget): string {
  return `pg_catalog.md5(${keyJsonSql(target, 't')}::text || $1::text), ${orderSql(target)}`;
}

/** Rows whose text no longer has the hash that was stored with the vector: a bypassed trigger's leftovers. */
export async function findStaleTexts(
  db: Queryable,
  target: VectorTarget,
  modelId: number | null,
  sample: { readonly size: number; readonly seed: number } | undefined,
): Promise<{ count: number; keys: string[][] }> {
  if (target.provenance === undefined || modelId === null) return { count: 0, keys: [] };
  const { hash, model } = target.provenance;
  const ids = [modelId, ...(target.adapted === undefined ? [] : [target.adapted.modelId])];
  // IS DISTINCT FROM, because a row that lost its text has no hash: adapted, it is as it was.
  const stale = `t.${quoteIdentifier(model)} IN (${ids.join(', ')}) AND t.${quoteIdentifier(hash)} IS DISTINCT FROM ${textHashSql(target.text, 't')}`;
  const columns = `${keyListSql(target, 't')}, (${stale}) AS stale, row_number() OVER (ORDER BY ${orderSql(target)}) AS position`;
  const rowsSql =
    sample === undefined
      ? `SELECT ${columns} FROM ${tableSql(target)} t WHERE ${stale}`
      : `SELECT ${columns} FROM (SELECT t.* FROM ${tableSql(target)} t WHERE ${sampleSql(target, withTextSql(target))}) t`;
  const { rows } = await db.query<{ count: number } & Record<string, unknown>>(
    `SELECT ${target.key.map((_, i) => `k${i}`).join(', ')}, count(*) OVER ()::float8 AS count FROM (${rowsSql}) s WHERE stale
     ORDER BY position LIMIT ${SHOWN_KEYS + 1}`,
    sample === undefined ? [] : [String(sample.seed), sample.size],
  );
  return { count: rows[0]?.count ?? 0, keys: rows.map((row) => keyOf(target, row)) };
}
