import type { EmbeddedRow } from './write-batch.ts';

/** A row that gets no vector. */
export interface BadRow {
  readonly key: readonly string[];
  /** Of the text; undefined of a row that was mapped. */
  readonly hash: Uint8Array | undefined;
  readonly reason: string;
}

/** A window that is embedded and checked, but not written yet. */
export interface ProducedWindow {
  readonly good: readonly EmbeddedRow[];
  readonly bad: readonly BadRow[];
  readonly tokens: number;
  readonly truncated: number;
}
