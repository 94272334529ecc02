import { type CrossEncoder, scorePairs } from '../models/cross-encoder.ts';
import type { Reranker } from './reranker.ts';

/** A cross-encoder on this machine. Takes over `encoder` and closes it. */
export function localReranker(name: string, encoder: CrossEncoder, batchSize: number): Reranker {
  const { files, pool } = encoder;
  return {
    model: { provider: 'local', name, dtype: files.dtype, files: files.hashes },
    score: (query, texts, options = {}) =>
      scorePairs(encoder, query, texts, { batchSize: options.batchSize ?? batchSize, signal: options.signal }),
    close: () => pool.close(),
  };
}
