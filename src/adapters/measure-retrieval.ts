import { firstHits } from '../vector/first-hits.ts';
import type { Similarities } from './similarities.ts';
import type { Matrix } from './types.ts';

/** What is searched for, and where. */
export interface SearchedSide {
  /** One row a query. */
  readonly queries: Matrix;
  /** In the same space. */
  readonly documents: Matrix;
}

/** What each query came to, in their order. */
export interface RetrievalScores {
  /** Share of a query's answers among its first ten hits. */
  readonly recallAt10: Float64Array;
  /** 1 / rank of the first answer, 0 where it is not among the first ten. */
  readonly reciprocalRank: Float64Array;
  /** Cosines of the first ten hits, best first. */
  readonly hits: readonly (readonly number[])[];
}

const DEPTH = 10;

/**
 * Asks every query of all documents, by cosine; recall and reciprocal rank are those of trec_eval (`recall_10`, `recip_rank` cut at ten).
 *
 * @param answers rows of the documents, at least one a query
 */
export async function measureRetrieval(
  { queries, documents }: SearchedSide,
  answers: readonly (readonly number[])[],
  similarities: Similarities,
): Promise<RetrievalScores> {
  const recallAt10 = new Float64Array(queries.rows);
  const reciprocalRank = new Float64Array(queries.rows);
  const hits: (readonly number[])[] = [];
  for await (const { first, rows, columns, values } of similarities.blocks(queries, documents)) {
    for (let row = 0; row < rows; row++) {
      const { places, scores } = firstHits(values.subarray(row * columns, (row + 1) * columns), DEPTH);
      const wanted = new Set(answers[first + row]);
      const rank = places.findIndex((place) => wanted.has(place));
      recallAt10[first + row] = places.filter((place) => wanted.has(place)).length / wanted.size;
      reciprocalRank[first + row] = rank === -1 ? 0 : 1 / (rank + 1);
      hits.push(scores);
    }
  }
  return { recallAt10, reciprocalRank, hits };
}
