import type { InferencePool } from './inference-pool.ts';
import type { TimedBatch, TokenBatch } from './worker-messages.ts';

/** What a model reads at once: a text, or a pair of texts. */
export interface TokenSequence {
  readonly ids: Int32Array;
  /** Of a pair, beside `ids`: which of its texts each token belongs to. All of a call's sequences have it, or none. */
  readonly types?: Int32Array | undefined;
}

export interface EncodeBatchesOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of each batch when it is done. */
  readonly onBatch?: (encoded: TimedBatch, batch: readonly number[]) => void;
}

/**
 * Runs batches of indexes into `texts` and puts each vector into `vectors` at the place of its text, in memory of its own.
 * Batches start in the order given.
 * @throws ModelError as `InferencePool.run`.
 */
export async function encodeBatches(
  pool: InferencePool,
  texts: readonly TokenSequence[],
  batches: readonly (readonly number[])[],
  vectors: Float32Array[],
  { signal, onBatch }: EncodeBatchesOptions = {},
): Promise<void> {
  await Promise.all(
    batches.map(async (batch) => {
      const encoded = await pool.run(concatenate(batch, texts), signal);
      scatter(encoded.vectors, batch, vectors);
      onBatch?.(encoded, batch);
    }),
  );
}

function concatenate(batch: readonly number[], texts: readonly TokenSequence[]): TokenBatch {
  const lengths = Int32Array.from(batch, (index) => texts[index]?.ids.length ?? 0);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  const types = texts[batch[0] ?? 0]?.types === undefined ? undefined : new Int32Array(ids.length);
  let offset = 0;
  for (const index of batch) {
    const text = texts[index];
    if (text === undefined) continue;
    ids.set(text.ids, offset);
    if (text.types !== undefined) types?.set(text.types, offset);
    offset += text.ids.length;
  }
  return { ids, lengths, types };
}

function scatter(rows: Float32Array, batch: readonly number[], vectors: Float32Array[]): void {
  const dimensions = rows.length / batch.length;
  batch.forEach((index, row) => {
    vectors[index] = rows.slice(row * dimensions, (row + 1) * dimensions);
  });
}
