import type { Reranker } from '../../providers/reranker.ts';
import type { SearchClientHit } from './types.ts';

/** The hits in the reranker's order, with its scores. One without a text cannot be read, and comes last. */
export async function rerankHits(
  reranker: Reranker,
  query: string,
  hits: readonly SearchClientHit[],
  options: { readonly batchSize: number | undefined; readonly signal: AbortSignal | undefined },
): Promise<SearchClientHit[]> {
  const read = hits.filter(({ text }) => text !== null);
  if (read.length === 0) return [...hits];
  const scores = await reranker.score(
    query,
    read.map(({ text }) => text ?? ''),
    options,
  );
  const scored = read.map((hit, i) => ({ ...hit, score: scores[i] ?? Number.NEGATIVE_INFINITY }));
  const unread = hits.filter(({ text }) => text === null);
  const rest = unread.map((hit) => ({ ...hit, score: Number.NEGATIVE_INFINITY }));
  return [...scored.sort((a, b) => b.score - a.score), ...rest];
}
