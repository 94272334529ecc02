import type { Matrix } from '../adapters/types.ts';
import type { ModelFingerprint } from '../providers/types.ts';

/** A row to be embedded, or whose old vector is to be mapped. */
export interface SourceRow {
  /** The key's values as text, in key order. */
  readonly key: readonly string[];
  /** Empty where vectors are mapped: it is not read then. */
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

/** Embeds texts. */
export interface TextVectorSource {
  readonly needs: 'text';
  readonly model: ModelFingerprint;
  /** Tokens of a row at most, where it is known; longer texts are cut there. */
  readonly maxTokens?: number | undefined;
  produce(rows: readonly SourceRow[], signal: AbortSignal | undefined): Promise<ProducedBatch>;
}

/** The old vectors of a window's rows, in order. */
export interface OldWindow {
  readonly matrix: Matrix;
  /** Why a row's vector cannot be mapped, by the row's position; its place in the matrix holds anything. */
  readonly faults: ReadonlyMap<number, string>;
}

/** What came of a window of old vectors. */
export interface MappedWindow {
  readonly matrix: Matrix;
  /** Why a row gets no vector, by the row's position. */
  readonly faults: ReadonlyMap<number, string>;
}

/** Maps old vectors. */
export interface MappingVectorSource {
  readonly needs: 'vector';
  /** Who the vectors are from: the adapter. */
  readonly model: ModelFingerprint;
  readonly maxTokens?: undefined;
  /** Of the old vectors. */
  readonly dimensions: number;
  /** Memory of a matrix that was mapped, for the next one. */
  takeMemory(): ArrayBuffer | undefined;
  /** Takes the matrix's memory for its own. @throws AdapterError when more than an odd row cannot be mapped */
  map(old: OldWindow, signal: AbortSignal | undefined): Promise<MappedWindow>;
}

/** Rows to vectors: what the backfill runs on. */
export type VectorSource = TextVectorSource | MappingVectorSource;

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
