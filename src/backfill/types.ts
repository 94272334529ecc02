import type { ModelFingerprint } from '../providers/types.ts';

/** A row to be embedded. */
export interface SourceRow {
  /** The key's values as text, in key order. */
  readonly key: readonly string[];
  readonly text: string;
  /** `xmin` of the row, the transaction that wrote this version of it. */
  readonly version?: string | undefined;
  /** The OID of the partition that it was read from; undefined in an ordinary table. */
  readonly part?: string | undefined;
}

/** What came of a row: a vector, or why there is none. */
export type Produced =
  | { readonly kind: 'vector'; readonly vector: Float32Array; readonly tokenKey: string | undefined }
  | { readonly kind: 'failed'; readonly reason: string };

export interface ProducedBatch {
  /** One entry a row, in order. */
  readonly rows: readonly Produced[];
  readonly tokens: number;
  readonly truncated: number;
}

/** Rows to vectors: what the backfill runs on. */
export interface VectorSource {
  readonly model: ModelFingerprint;
  /** Tokens of a row at most, where it is known; longer texts are cut there. */
  readonly maxTokens?: number | undefined;
  produce(rows: readonly SourceRow[], signal: AbortSignal | undefined): Promise<ProducedBatch>;
}

/** Progress that outlives the process. */
export interface Checkpoint {
  readonly cursor: readonly string[] | null;
  readonly written: number;
  readonly tokens: number;
  readonly truncated: number;
}

export interface BackfillResult {
  readonly written: number;
  readonly quarantined: number;
  readonly tokens: number;
  readonly truncated: number;
  /** Walks over the table: 1 when no row was locked or edited meanwhile. */
  readonly passes: number;
  readonly seconds: number;
}

/** What one walk over the table did. */
export interface Walked {
  /** Rows met, written or not. */
  readonly rows: number;
  /** Rows written or put in quarantine. */
  readonly progressed: number;
  /** The rows themselves while they are at most `FEW_ROWS`. */
  readonly few: readonly SourceRow[];
}
