import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/** What `reembed tune` found for one index: how it is searched, and what was measured with that. */
export interface TunedSetting {
  /** The side whose index it is: the swap gives its name to another one. */
  readonly side: 'old' | 'new';
  readonly kind: 'ivfflat' | 'hnsw';
  /** Storage parameters of the index that was measured; a setting is of no use for another one. */
  readonly options: Readonly<Record<string, string>>;
  /** `ivfflat.probes` or `hnsw.ef_search`. */
  readonly setting: number;
  readonly k: number;
  readonly target: number;
  /** Recall@k with the ends of its 95% interval. */
  readonly recall: number;
  readonly low: number;
  readonly high: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly queries: number;
  /** Rows with a vector by then. */
  readonly rows: number;
  readonly at: string;
}

/** By the index's name. */
export type SearchSettings = Readonly<Record<string, TunedSetting>>;

/** Above so many times the rows that were measured, what was found may not hold any more. */
const GROWN = 1.5;

export function hasGrown(tuned: Pick<TunedSetting, 'rows'>, rows: number): boolean {
  return rows > GROWN * tuned.rows;
}

/** Keeps what was found for one index; those of others stay. */
export async function saveTuned(
  db: Queryable,
  stateSchema: string,
  id: string,
  index: string,
  tuned: TunedSetting,
): Promise<void> {
  await db.query(
    `UPDATE ${quoteIdentifier(stateSchema)}.migrations SET updated_at = now(),
       search_settings = COALESCE(search_settings, '{}') || pg_catalog.jsonb_build_object($2::text, $3::jsonb) WHERE id = $1`,
    [id, index, JSON.stringify(tuned)],
  );
}

/** Forgets what was found for an index that is another one now. */
export async function forgetTuned(db: Queryable, stateSchema: string, id: string, index: string): Promise<void> {
  await db.query(
    `UPDATE ${quoteIdentifier(stateSchema)}.migrations SET search_settings = search_settings - $2::text WHERE id = $1`,
    [id, index],
  );
}

/** What was found for this index, if it is still the one that was measured. */
export function tunedFor(
  settings: SearchSettings | null,
  index: {
    readonly name: string;
    readonly kind: string;
    readonly side: 'old' | 'new';
    readonly options: Readonly<Record<string, string>>;
  },
): TunedSetting | undefined {
  const tuned = settings?.[index.name];
  if (tuned === undefined || tuned.side !== index.side || tuned.kind !== index.kind) return undefined;
  const names = new Set([...Object.keys(tuned.options), ...Object.keys(index.options)]);
  return [...names].every((name) => tuned.options[name] === index.options[name]) ? tuned : undefined;
}
