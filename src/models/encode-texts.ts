import type { InferencePool } from './inference-pool.ts';
import type { TokenizedText } from './tokenizer.ts';
import type { TimedBatch, TokenBatch } from './worker-messages.ts';

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
  texts: readonly TokenizedText[],
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

function concatenate(batch: readonly number[], texts: readonly TokenizedText[]): TokenBatch {
  const lengths = Int32Array.from(batch, (index) => texts[index]?.ids.length ?? 0);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const index of batch) {
    const part = texts[index]?.ids;
    if (part === undefined) continue;
    ids.set(part, offset);
    offset += part.length;
  }
  return { ids, lengths };
}

function scatter(rows: Float32Array, batch: readonly number[], vectors: Float32Array[]): void {
  const dimensions = rows.length / batch.length;
  batch.forEach((index, row) => {
    vectors[index] = rows.slice(row * dimensions, (row + 1) * dimensions);
  });
}
