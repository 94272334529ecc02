import type { SqlFragment } from '../../sql/filter.ts';
import type { RankChanges } from '../../vector/rank-agreement.ts';
import type { TransactionSource } from '../active-model.ts';

/** A search that was answered. */
export interface ServedSearch {
  /** Whose vectors answered; what is neither `old` nor `new` (both, words) has no other side and is not shadowed. */
  readonly side: string;
  readonly query: string;
  readonly limit: number;
  /** Of the hits, best first. */
  readonly keys: readonly (readonly string[])[];
  readonly milliseconds: number;
  readonly filter?: SqlFragment | undefined;
  /** Whether a reranker put the hits in their order. */
  readonly reranked?: boolean;
}

/** How much is shadowed, and what is kept of it. */
export interface ShadowSettings {
  /** The share of the searches that are asked of the other side as well, 0 to 1 (0.1). */
  readonly sample?: number | undefined;
  /** Decides which; drawn when not given. */
  readonly seed?: number | undefined;
  /** Searches that wait at most (100); more are dropped and counted. */
  readonly queue?: number | undefined;
  /** Shadow searches at a time (1). */
  readonly concurrency?: number | undefined;
  /** Keeps the texts of the queries in the log; their hashes otherwise. */
  readonly queryText?: boolean | undefined;
  /** What the log keeps of a migration: days (30) and searches (50,000). */
  readonly keepDays?: number | undefined;
  readonly keepSearches?: number | undefined;
  /** Told once of each thing that keeps the shadow from its work, e.g. a right that is missing. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

export interface ShadowOptions extends ShadowSettings {
  readonly migrationId: string;
  /** Where the log is written. */
  readonly db: TransactionSource;
  /** `reembed` unless REEMBED_STATE_SCHEMA says otherwise. */
  readonly stateSchema?: string | undefined;
  /** Asks one side what was served by the other. */
  readonly ask: (side: 'old' | 'new', served: ServedSearch) => Promise<Pick<ServedSearch, 'keys' | 'milliseconds'>>;
}

export interface ShadowCounts {
  readonly offered: number;
  /** Drawn for the shadow; what was not dropped, failed or still waits was compared. */
  readonly sampled: number;
  /** The queue was full, or the shadow closed before their turn. */
  readonly dropped: number;
  readonly failed: number;
  readonly compared: number;
  readonly logged: number;
  /** Compared, and not written: the database refused, or was away. */
  readonly unwritten: number;
  readonly lastError: string | undefined;
}

export interface Shadow {
  /** Takes note of an answer and returns at once; never throws. */
  offer(served: ServedSearch): void;
  /** Waits until all that was offered is compared and written. */
  settled(): Promise<void>;
  /** Drops what still waits, gives what is being asked five seconds, and writes what is compared. Never rejects. */
  close(): Promise<void>;
  readonly counts: ShadowCounts;
}

/** A comparison as the log has it. */
export interface ShadowRow {
  /** When it was compared, as `performance.now` says. */
  readonly at: number;
  readonly served: 'old' | 'new';
  readonly k: number;
  readonly overlap: number;
  readonly rank_biased_overlap: number;
  readonly served_ms: number;
  readonly shadow_ms: number;
  readonly detail: ShadowDetail;
}

/** Keys as text; composite ones as a JSON array. */
export interface ShadowDetail extends RankChanges {
  /** Only where it was asked for. */
  readonly query: string | null;
  /** The first 16 digits of the query's sha256. */
  readonly queryHash: string;
  readonly filtered: boolean;
  readonly firstChanged: boolean;
}
