import type { Distance } from '../config/types.ts';
import type { Queryable } from '../db/types.ts';
import { fragmentSql, type SqlFragment } from '../sql/filter.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { candidatesOf } from '../sql/quantization.ts';
import { distanceSql, type RankedRows, rankedRowsSql } from '../sql/search-list.ts';
import type { VectorTarget } from '../sql/target.ts';
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

const MAX_EF_SEARCH = 1000;

/** Settings of a search for the rest of the transaction. */
export function searchSettings(
  side: Pick<SearchSide, 'index'>,
  path: SearchPath,
  limit: number,
): Readonly<Record<string, string>> {
  if (path === 'exact') return { enable_indexscan: 'off', enable_bitmapscan: 'off', enable_indexonlyscan: 'off' };
  const settings: Record<string, string> = {};
  // Reading by primary key and sorting must not pass for a search of the index. Where a plan has to sort all the same (candidates of a
  // quantised index), Postgres before 18 reckons it as dear enough to be compiled, which takes longer than the search.
  if (path === 'index' && side.index !== undefined)
    Object.assign(settings, { enable_seqscan: 'off', enable_sort: 'off', jit: 'off' });
  const { probes, efSearch } = side.index ?? {};
  if (probes !== undefined) settings['ivfflat.probes'] = String(probes);
  // HNSW returns no more rows than ef_search.
  const rows = quantizedOf(side.index, limit)?.candidates ?? limit;
  if (efSearch !== undefined) settings['hnsw.ef_search'] = String(Math.min(MAX_EF_SEARCH, Math.max(efSearch, rows)));
  return settings;
}

/** Sets them with the transaction's scope. */
export async function applySettings(tx: Queryable, settings: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) {
    await tx.query('SELECT pg_catalog.set_config($1, $2, true)', [name, value]);
  }
}

/** How a search asks the index that it has; undefined where that holds the vectors as they are, or where there is none. */
export function quantizedOf(index: SearchSide['index'], limit: number): RankedRows['quantized'] {
  const candidates = index === undefined ? undefined : candidatesOf(index, limit);
  const by = index?.quantization ?? 'none';
  return candidates === undefined || by === 'none' ? undefined : { by, candidates };
}

/**
 * Parameters: the vector in text form, the limit, then the filter's; in its SQL the table is `t`. A quantised index finds candidates, which
 * their exact distances put in order.
 */
export function nearestSql(
  target: VectorTarget,
  distance: Distance,
  {
    filter,
    quantized,
  }: { readonly filter?: SqlFragment | undefined; readonly quantized?: RankedRows['quantized'] } = {},
): string {
  const column = `t.${quoteIdentifier(target.column)}`;
  const keys = target.key.map((key, i) => `t.${quoteIdentifier(key.name)}::text AS k${i}`);
  const columns = [
    ...keys,
    `${textSql(target.text, 't')}::text AS text`,
    `${distanceSql(target, distance, '$1')} AS distance`,
  ];
  const where = `${column} IS NOT NULL${filter === undefined ? '' : ` AND (${fragmentSql(filter, 3)})`}`;
  return rankedRowsSql({ target, distance, columns, where, quantized });
}

/** The rows nearest to `vector`, nearest first; without an `index` in `side` by comparing with each. */
export async function nearest(
  tx: Queryable,
  side: Pick<SearchSide, 'target' | 'distance'> & Partial<Pick<SearchSide, 'index'>>,
  vector: ArrayLike<number>,
  limit: number,
  filter?: SqlFragment,
): Promise<SearchHit[]> {
  const sql = nearestSql(side.target, side.distance, { filter, quantized: quantizedOf(side.index, limit) });
  const { rows } = await tx.query<Record<string, unknown>>(sql, [
    vectorLiteral(vector),
    limit,
    ...(filter?.params ?? []),
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
