import { count } from '../../amounts.ts';
import type { OnProgress } from '../../progress.ts';
import type { EmbeddingProvider, ModelFingerprint } from '../../providers/types.ts';
import { interrupted } from '../../state/context.ts';

/** A model that is opened when it is first asked. */
export interface Embedder {
  model(): Promise<ModelFingerprint>;
  /** One vector a text, in order. `what` names the texts in the progress. */
  embed(texts: readonly string[], kind: 'document' | 'query', what: string): Promise<Float32Array[]>;
}

/** Texts of one call: enough to be sorted by length, few enough to be stopped between. */
const TEXTS_A_CALL = 256;

/** Tells how far it is, and stops between two calls. @throws InterruptedError, and as the provider */
export function embedder(
  open: () => Promise<EmbeddingProvider>,
  { onProgress, signal }: { readonly onProgress: OnProgress; readonly signal: AbortSignal | undefined },
): Embedder {
  return {
    model: async () => (await open()).model,
    async embed(texts, kind, what) {
      if (texts.length === 0) return [];
      const provider = await open();
      const named = count(texts.length, what, what === 'query' ? 'queries' : undefined);
      onProgress({ kind: 'step', step: 'adapter', message: `Embedding ${named} with ${provider.model.name}` });
      const vectors: Float32Array[] = [];
      const started = performance.now();
      for (let start = 0; start < texts.length; start += TEXTS_A_CALL) {
        if (signal?.aborted === true) throw interrupted(signal, 'adapter');
        const part = texts.slice(start, start + TEXTS_A_CALL);
        vectors.push(...(await provider.embed(part, { kind, signal })).vectors);
        const rate = vectors.length / ((performance.now() - started) / 1000);
        const [done, total] = [vectors.length, texts.length];
        if (total > TEXTS_A_CALL) {
          onProgress({ kind: 'rows', done, total, rate, etaSeconds: (total - done) / rate });
        }
      }
      return vectors;
    },
  };
}
