import type { Queryable } from '../../db/types.ts';
import { ConfigError, DatabaseError, PreflightError } from '../../errors.ts';
import { type SqlFragment, where } from '../../sql/filter.ts';
import { quoteLiteral } from '../../sql/identifiers.ts';
import { searchListSql } from '../../sql/search-list.ts';
import type { KeywordHit, KeywordSearch } from '../keyword/types.ts';
import { quantizedOf, searchSettings } from '../nearest.ts';
import { catalogDatabase } from './catalog-database.ts';
import type { SearchLayout, SideLayout } from './layout.ts';
import { giveModel, otherSide, type SearchPlan } from './plan-search.ts';
import type { Side, Source } from './types.ts';

/** A row as one source ranked it. */
export interface ListedHit {
  /** The key, as one string. */
  readonly id: string;
  readonly key: readonly string[];
  readonly text: string | null;
  readonly score: number;
  readonly stale: boolean;
  /** False for a row that only this side can rank. */
  readonly other: boolean;
}

export type Lists = { readonly [source in Source]?: readonly ListedHit[] };

export interface ListRequest {
  readonly query: string;
  /** Rows of each source. */
  readonly depth: number;
  readonly filter: SqlFragment | undefined;
  /** pgvector's text form, of each side that is asked. */
  readonly vectors: { readonly [side in Side]?: string };
  readonly keyword: KeywordSearch;
  readonly signal: AbortSignal | undefined;
}

/**
 * Asks all sources of a plan in one transaction.
 *
 * @throws DatabaseError `active_model_changed` when the layout is no longer true
 */
export async function readLists(
  tx: Queryable,
  layout: SearchLayout,
  plan: SearchPlan,
  request: ListRequest,
): Promise<Lists> {
  const { depth, filter, signal } = request;
  const lists: { [source in Source]?: readonly ListedHit[] } = {};
  let setUp = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED';
  // Before the vectors: a row that gets its own between the two looks is then in both lists, and never in none.
  if (plan.keyword !== undefined) {
    await tx.query(setUp);
    setUp = '';
    const hits = await readWords(tx, layout, plan, request);
    lists.keyword = hits.map((hit) => ({ ...hit, id: idOf(hit.key), stale: false, other: true }));
  }
  for (const side of plan.sides) {
    signal?.throwIfAborted();
    const settings = setLocalSql(listSettings(sideOf(layout, side), layout, depth, filter !== undefined));
    const statements = [setUp, settings].filter((sql) => sql !== '').join('; ');
    // Several statements without parameters are one message to the server and one answer.
    if (statements !== '') await tx.query(statements);
    setUp = '';
    lists[side] = await readList(tx, layout, side, plan, request);
  }
  return lists;
}

/** @throws ConfigError `rows_out_of_reach` where words would have to find what no vector can */
async function readWords(
  tx: Queryable,
  layout: SearchLayout,
  { keyword, sides: [side] }: SearchPlan,
  request: ListRequest,
): Promise<readonly KeywordHit[]> {
  const { query, depth: limit } = request;
  // As JSON: whatever the application's driver makes of numbers.
  const db = catalogDatabase(tx);
  if (keyword !== 'waiting' || side === undefined) return request.keyword(db, query, { limit, filter: request.filter });
  const { served, target } = sideOf(layout, side);
  const waiting: SqlFragment = { parts: [`NOT ${served}`], params: [] };
  const filter = request.filter === undefined ? waiting : where`(${request.filter}\n) AND ${waiting}`;
  try {
    return await request.keyword(db, query, { limit, filter });
  } catch (cause) {
    if (!(cause instanceof PreflightError && cause.code === 'keyword_index_missing')) throw cause;
    const message = `Rows that have no vector in ${target.column} yet are out of reach: the other model is not configured, and there is no keyword index.`;
    const hint = `${giveModel(otherSide(side))}, or run "reembed keyword build".`;
    throw new ConfigError('rows_out_of_reach', message, { step: 'inspect', hint, cause });
  }
}

async function readList(
  tx: Queryable,
  layout: SearchLayout,
  side: Side,
  plan: SearchPlan,
  { depth, filter, vectors }: ListRequest,
): Promise<ListedHit[]> {
  const { target, distance, served, index } = sideOf(layout, side);
  const quantized = quantizedOf(index, depth);
  const other = plan.sides.includes(otherSide(side)) ? sideOf(layout, otherSide(side)).served : undefined;
  const sql = searchListSql({ target, distance, served, otherServed: other, filter, quantized, mark: layout.markSql });
  const { rows } = await tx.query<Record<string, string | null>>(sql, [
    vectors[side],
    depth,
    ...(filter?.params ?? []),
  ]);
  if ((rows[0]?.mark ?? null) !== layout.mark) throw layoutChanged();
  const hits = rows.flatMap((row) => {
    if (row.distance === null || row.distance === undefined) return [];
    const key = target.key.map((_, i) => String(row[`k${i}`]));
    const near = Number(row.distance);
    // A stored vector of zeros is at no angle to anything, NaN: as far as a row can be.
    const score = distance === 'cosine' ? 1 - (Number.isNaN(near) ? 2 : near) : -near;
    return [
      { id: idOf(key), key, text: row.text ?? null, score, stale: row.stale === 'true', other: row.other === 'true' },
    ];
  });
  // An index that goes on looking (`relaxed_order`) may give a nearer row late; a join promises no order.
  return hits.sort((a, b) => b.score - a.score);
}

function idOf(key: readonly string[]): string {
  return JSON.stringify(key);
}

/** pgvector's own default: up to so many rows an index with its usual settings gives what is asked for. */
const USUAL_LIMIT = 10;
/** How much more an index without `iterative_scan` looks at, as a filter may leave little of it. */
const FILTER_FACTOR = { probes: 4, ef: 10 } as const;
const MAX_EF_SEARCH = 1000;

/** Settings of the index for the transaction; with a filter it goes on until there are enough rows. */
export function listSettings(
  side: Pick<SideLayout, 'index'>,
  { iterativeScan }: Pick<SearchLayout, 'iterativeScan'>,
  depth: number,
  filtered: boolean,
): Readonly<Record<string, string>> {
  const settings = searchSettings(side, 'planner', depth);
  const { index } = side;
  if (index === undefined || (!filtered && depth <= USUAL_LIMIT)) return settings;
  if (iterativeScan) return { ...settings, [`${index.kind}.iterative_scan`]: 'relaxed_order' };
  if (index.kind === 'hnsw') {
    const ef = Math.max(Number(settings['hnsw.ef_search'] ?? 0), depth * (filtered ? FILTER_FACTOR.ef : 1));
    return { ...settings, 'hnsw.ef_search': String(Math.min(MAX_EF_SEARCH, ef)) };
  }
  const probes = (index.probes ?? 1) * FILTER_FACTOR.probes;
  return { ...settings, 'ivfflat.probes': String(Math.min(index.lists ?? probes, probes)) };
}

function setLocalSql(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `SET LOCAL ${name} = ${quoteLiteral(value)}`)
    .join('; ');
}

export function sideOf(layout: SearchLayout, side: Side): SideLayout {
  const found = layout.sides[side];
  if (found instanceof PreflightError) throw found;
  return found;
}

function layoutChanged(): DatabaseError {
  return new DatabaseError('active_model_changed', 'The migration changed the model during a request.', {
    hint: 'Repeat the request.',
  });
}
