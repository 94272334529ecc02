import type { MeanInterval } from '../../vector/distribution.ts';
import type { RankChanges } from '../../vector/rank-agreement.ts';

/** Milliseconds of one side's searches: the nearest rank. */
export interface SideLatency {
  readonly p50: number;
  readonly p95: number;
}

/** How far the two sides agreed in the searches that were shadowed. It says how much changes, never which side is better. */
export interface ShadowReport {
  readonly migration: string;
  /** Of the first and the last search; null without any. */
  readonly since: string | null;
  readonly until: string | null;
  readonly searches: number;
  /** Logged before the backfill was complete, when half a column was compared, or beyond what is read at a time. */
  readonly leftOut: number;
  /** False while the backfill is not: what the new side cannot find yet counts as disagreement. */
  readonly complete: boolean;
  /** How many searches each side served. */
  readonly served: { readonly old: number; readonly new: number };
  /** Hits compared a search: the least and the most. */
  readonly k: { readonly least: number; readonly most: number };
  /** Means over the searches with their 95% bootstrap intervals. */
  readonly overlap: MeanInterval;
  readonly rankBiasedOverlap: MeanInterval;
  /** Share of the searches with another first hit, 0..1. */
  readonly firstChanged: number;
  readonly latency: { readonly old: SideLatency; readonly new: SideLatency };
  /** The searches with the least in common, worst first. */
  readonly worst: readonly WorstSearch[];
  /** Of a monitor: searches that could not be compared, and why the last one could not. */
  readonly failed?: number;
  readonly lastError?: string | undefined;
}

export interface WorstSearch extends RankChanges {
  readonly at: string;
  readonly served: 'old' | 'new';
  readonly overlap: number;
  /** The query where the log has it, else undefined and only its hash is known. */
  readonly query: string | undefined;
  readonly queryHash: string;
}
