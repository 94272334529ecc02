import type { TextVectorSource } from './types.ts';

/**
 * The same source, but after every so many batches `look` is asked whether the model is still the same, and all that come meanwhile wait for
 * its answer. What it throws, the batch throws; it is asked again then.
 */
export function watchedSource(
  source: TextVectorSource,
  batchesBetween: number,
  look: (signal: AbortSignal | undefined) => Promise<void>,
): TextVectorSource {
  let batches = 0;
  let looking: Promise<void> | undefined;

  async function lookOnce(signal: AbortSignal | undefined): Promise<void> {
    try {
      await look(signal);
      batches = 0;
    } finally {
      looking = undefined;
    }
  }

  return {
    needs: 'text',
    model: source.model,
    maxTokens: source.maxTokens,
    async produce(rows, signal) {
      if (batches >= batchesBetween) {
        looking ??= lookOnce(signal);
        await looking;
      }
      batches += 1;
      return source.produce(rows, signal);
    },
  };
}
