import { findRecordedEntry, type RecordedAdapter, readRecordedAdapter } from '../adapters/recorded-adapter.ts';
import type { Retention } from '../adapters/types.ts';
import type { RuntimeSettings } from '../config/types.ts';
import type { Queryable } from '../db/types.ts';
import { adaptedSql, embeddableSql } from '../sql/pending.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';

/** Rows whose vector an adapter made, and what is known of it. */
export interface AdaptedRows {
  /** `adapted:<id>`. */
  readonly adapter: string;
  readonly rows: number;
  /** Of these: rows without a text, which no model can embed. */
  readonly withoutText: number;
  /** Recall@10 on adapted vectors / on real ones, with the ends of its 95% interval; null where nobody measured, or the registry cannot say. */
  readonly retention: { readonly value: number; readonly low: number; readonly high: number } | null;
  /** Correlation of pairwise similarities, adapted against real; null likewise. */
  readonly similarityPreservation: number | null;
  /** Why the registry does not have this projection; null where it has. */
  readonly problem: string | null;
}

export interface AdapterContext {
  readonly db: Queryable;
  readonly runtime: Pick<RuntimeSettings, 'stateSchema' | 'adapters'>;
}

/** Undefined where the migration has no adapter. Counts by reading the whole table. */
export async function readAdaptedRows(ctx: AdapterContext, target: VectorTarget): Promise<AdaptedRows | undefined> {
  const recorded = await readRecordedAdapter(ctx.db, ctx.runtime.stateSchema, target.adapted?.modelId ?? null);
  if (recorded === undefined) return undefined;
  const { rows } = await ctx.db.query<Pick<AdaptedRows, 'rows' | 'withoutText'>>(
    `SELECT pg_catalog.count(*)::float8 AS rows, pg_catalog.count(*) FILTER (WHERE ${embeddableSql(target, 't')} IS NOT TRUE)::float8 AS "withoutText"
     FROM ${tableSql(target)} t WHERE ${adaptedSql(target, 't')}`,
  );
  return { ...(rows[0] ?? { rows: 0, withoutText: 0 }), ...(await describeAdapter(ctx, recorded)) };
}

/** What the registry knows of it. */
export async function describeAdapter(
  { runtime }: Pick<AdapterContext, 'runtime'>,
  recorded: RecordedAdapter,
): Promise<Omit<AdaptedRows, 'rows' | 'withoutText'>> {
  const adapter = recorded.name;
  const found = await findRecordedEntry(runtime, recorded);
  if ('problem' in found) return { adapter, retention: null, similarityPreservation: null, problem: found.problem };
  const { metrics } = found.entry;
  return {
    adapter,
    retention: metrics === undefined ? null : retentionOf(metrics.recallAt10),
    similarityPreservation: metrics?.similarityPreservation ?? null,
    problem: null,
  };
}

function retentionOf({ retention, low, high }: Retention): NonNullable<AdaptedRows['retention']> {
  return { value: retention, low, high };
}
