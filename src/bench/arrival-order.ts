import { encodeBatch } from '../models/encode-batch.ts';
import type { LocalModel } from '../models/local-model.ts';
import { openSession } from '../models/session.ts';

/** Texts of a batch in the plain loop. */
export const PLAIN_BATCH = 32;

/** The plain loop over a model, ready to run. */
export interface ArrivalOrder {
  /** Embeds the texts and drops the vectors. Blocks the thread, batch by batch. */
  run(texts: readonly string[], signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** What a simple loop does: 32 texts as they come, padded to the longest, in one session of this thread, on the CPU. */
export async function openArrivalOrder(
  { files, config, tokenizer }: Pick<LocalModel, 'files' | 'config' | 'tokenizer'>,
  threads: number,
): Promise<ArrivalOrder> {
  // What the manifest says is about its own graph, not about another precision beside it.
  const manifest = files.manifest?.dtype === files.dtype ? files.manifest : undefined;
  const session = await openSession({
    graph: files.graph,
    device: 'cpu',
    dtype: files.dtype,
    graphOptimizationLevel: manifest?.session?.graphOptimizationLevel,
    output: manifest?.output,
    threads,
  });
  const setup = { pooling: config.pooling, normalize: config.normalize, padId: tokenizer.padId };
  return {
    async run(texts, signal) {
      for (let start = 0; start < texts.length; start += PLAIN_BATCH) {
        signal?.throwIfAborted();
        const batch = await tokenizer.tokenize(texts.slice(start, start + PLAIN_BATCH));
        const lengths = Int32Array.from(batch, ({ ids }) => ids.length);
        const ids = Int32Array.from(batch.flatMap((text) => [...text.ids]));
        await encodeBatch(session, setup, { ids, lengths });
      }
    },
    close: () => session.release(),
  };
}
