import type { Distance } from '../config/types.ts';
import type { Queryable } from '../db/types.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { candidatesOf, type Quantization, quantizedSql } from '../sql/quantization.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import { textSql } from '../sql/text-source.ts';
import type { SearchSide } from './search-side.ts';
import { vectorLiteral } from './vector-literal.ts';

export interface SearchHit {
  /** The key's values as text, in key order. */
  readonly key: readonly string[];
  readonly text: string | null;
  /** More is nearer: cosine similarity, inner product, or minus the Euclidean distance. */
  readonly score: number;
  /** As pgvector's operator gives it; less is nearer. */
  readonly distance: number;
}

/** `exact` reads every vector; `index` uses the approximate index wherever there is one; `planner` leaves it to Postgres. */
export type SearchPath = 'exact' | 'index' | 'planner';

const OPERATORS: Readonly<Record<Distance, string>> = { cosine: '<=>', l2: '<->', ip: '<#>' };
const MAX_EF_SEARCH = 1000;

/** Settings of a search for the rest of the transaction. */
export function searchSettings(
  side: Pick<SearchSide, 'index'>,
  path: SearchPath,
  limit: number,
): Readonly<Record<string, string>> {
  if (path === 'exact') return { enable_indexscan: 'off', enable_bitmapscan: 'off', enable_indexonlyscan: 'off' };
  const settings: Record<string, string> = {};
  // Reading by primary key and sorting must not pass for a search of the index.
  if (path === 'index' && side.index !== undefined)
    Object.assign(settings, { enable_seqscan: 'off', enable_sort: 'off' });
  const { probes, efSearch } = side.index ?? {};
  if (probes !== undefined) settings['ivfflat.probes'] = String(probes);
  // HNSW returns no more rows than ef_search.
  const rows = side.index === undefined ? limit : (candidatesOf(side.index, limit) ?? limit);
  if (efSearch !== undefined) settings['hnsw.ef_search'] = String(Math.min(MAX_EF_SEARCH, Math.max(efSearch, rows)));
  return settings;
}

/** Sets them with the transaction's scope. */
export async function applySettings(tx: Queryable, settings: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) {
    await tx.query('SELECT pg_catalog.set_config($1, $2, true)', [name, value]);
  }
}

/**
 * Parameters: the vector in text form, the limit; by a quantised index the number of candidates too, which it finds and their exact
 * distances put in order.
 */
export function nearestSql(target: VectorTarget, distance: Distance, quantization: Quantization = 'none'): string {
  const type = quoteQualified(target.vectorSchema, target.vectorType);
  const operator = `OPERATOR(${quoteIdentifier(target.vectorSchema)}.${OPERATORS[distance]})`;
  const column = `t.${quoteIdentifier(target.column)}`;
  const keys = target.key.map((key, i) => `t.${quoteIdentifier(key.name)}::text AS k${i}`);
  const select =
    `SELECT ${[...keys, `${textSql(target.text, 't')}::text AS text`].join(', ')}, ${column} ${operator} $1::text::${type} AS distance ` +
    `FROM ${tableSql(target)} t WHERE ${column} IS NOT NULL ORDER BY `;
  if (quantization === 'none') return `${select}${column} ${operator} $1::text::${type} LIMIT $2::bigint`;
  const [held, asked] = [column, `$1::text::${type}`].map((of) => quantizedSql(target, quantization, of));
  const near = quantization === 'binary' ? `OPERATOR(${quoteIdentifier(target.vectorSchema)}.<~>)` : operator;
  return `SELECT * FROM (${select}${held} ${near} ${asked} LIMIT $3::bigint) c ORDER BY c.distance LIMIT $2::bigint`;
}

/** The rows nearest to `vector`, nearest first; without an `index` in `side` by comparing with each. */
export async function nearest(
  tx: Queryable,
  side: Pick<SearchSide, 'target' | 'distance'> & Partial<Pick<SearchSide, 'index'>>,
  vector: ArrayLike<number>,
  limit: number,
): Promise<SearchHit[]> {
  const { target, distance, index } = side;
  const candidates = index === undefined ? undefined : candidatesOf(index, limit);
  const { rows } = await tx.query<Record<string, unknown>>(nearestSql(target, distance, index?.quantization), [
    vectorLiteral(vector),
    limit,
    ...(candidates === undefined ? [] : [candidates]),
  ]);
  return rows.map((row) => {
    const distance = Number(row.distance);
    return {
      key: side.target.key.map((_, i) => String(row[`k${i}`])),
      text: row.text === null ? null : String(row.text),
      score: side.distance === 'cosine' ? 1 - distance : -distance,
      distance,
    };
  });
}
