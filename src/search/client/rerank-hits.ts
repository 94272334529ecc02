import type { Reranker } from '../../providers/reranker.ts';
import { rerankHits as rerank } from '../rerank.ts';
import type { SearchClientHit } from './types.ts';

/** The hits in the reranker's order, with its scores. One without a text cannot be read, and comes last. */
export async function rerankHits(
  reranker: Reranker,
  query: string,
  hits: readonly SearchClientHit[],
  options: { readonly batchSize: number | undefined; readonly signal: AbortSignal | undefined },
): Promise<SearchClientHit[]> {
  const all = { topK: hits.length, returnTopK: hits.length };
  const reranked = await rerank(hits, { query, reranker, textOf: ({ text }) => text, ...all, ...options });
  return reranked.map(({ hit, score = Number.NEGATIVE_INFINITY }) => ({ ...hit, score }));
}
