import { rankScores } from '../providers/rank-scores.ts';
import type { Reranker } from '../providers/reranker.ts';

export interface RerankHitsOptions<Hit> {
  readonly query: string;
  readonly reranker: Reranker;
  /** What the reranker reads of a hit; a hit without text stays behind those that have one. */
  readonly textOf: (hit: Hit) => string | null | undefined;
  /** Hits that are read, from the first (200); `RERANK_TOP_K`. */
  readonly topK?: number | undefined;
  /** Hits that are returned (20); `RETURN_TOP_K`. */
  readonly returnTopK?: number | undefined;
  /** Pairs an inference batch at most; the reranker's own choice unless said. */
  readonly batchSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RerankedHit<Hit> {
  readonly hit: Hit;
  /** Undefined where the reranker did not read it: it had no text, or stood behind `topK`. */
  readonly score: number | undefined;
}

/**
 * Puts the first `topK` hits of a search into the reranker's order; what it did not read follows in the order in which it came.
 * @returns `returnTopK` hits at most, the most relevant first.
 * @throws as `Reranker.score`
 */
export async function rerankHits<Hit>(
  hits: readonly Hit[],
  { query, reranker, textOf, topK = 200, returnTopK = 20, batchSize, signal }: RerankHitsOptions<Hit>,
): Promise<RerankedHit<Hit>[]> {
  const read: { readonly hit: Hit; readonly text: string }[] = [];
  const unread: Hit[] = [];
  for (const [place, hit] of hits.entries()) {
    const text = place < topK ? textOf(hit) : undefined;
    if (text === undefined || text === null || text.trim() === '') unread.push(hit);
    else read.push({ hit, text });
  }
  const scores = await reranker.score(
    query,
    read.map(({ text }) => text),
    { batchSize, signal },
  );
  const ranked = rankScores(scores).flatMap(({ index, score }) => {
    const entry = read[index];
    return entry === undefined ? [] : [{ hit: entry.hit, score }];
  });
  return [...ranked, ...unread.map((hit) => ({ hit, score: undefined }))].slice(0, returnTopK);
}
