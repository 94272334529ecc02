/** A query's answers: what is wanted, by key, and how much; grades are above 0. */
export type Grades = ReadonlyMap<string, number>;

/** What one query, or the mean of several, came to. All are 0..1, more is better. */
export interface RankMetrics {
  readonly recallAt1: number;
  readonly recallAt5: number;
  readonly recallAt10: number;
  /** At the depth that was asked for. */
  readonly recallAtK: number;
  /** 1 / rank of the first answer, 0 where none was retrieved; the mean of several is the MRR. */
  readonly reciprocalRank: number;
  readonly ndcgAt10: number;
}

/**
 * One query's metrics as trec_eval reckons them (`recall_k`, `recip_rank`, `ndcg_cut_10`).
 *
 * @param ranking keys, best first, each once
 * @param grades what answers the query; at least one
 */
export function scoreRanking(ranking: readonly string[], grades: Grades, k: number): RankMetrics {
  const first = ranking.findIndex((key) => grades.has(key));
  return {
    recallAt1: recallAt(ranking, grades, 1),
    recallAt5: recallAt(ranking, grades, 5),
    recallAt10: recallAt(ranking, grades, 10),
    recallAtK: recallAt(ranking, grades, k),
    reciprocalRank: first === -1 ? 0 : 1 / (first + 1),
    ndcgAt10: ndcgAt(ranking, grades, 10),
  };
}

/** The share of a query's answers among the first k. Above k answers it cannot reach 1. */
export function recallAt(ranking: readonly string[], grades: Grades, k: number): number {
  return ranking.slice(0, k).filter((key) => grades.has(key)).length / grades.size;
}

/**
 * Normalised discounted cumulative gain: the grade itself as gain, 1 / log2(rank + 1) as discount, against the best order of all
 * answers (Järvelin and Kekäläinen, ACM TOIS 20(4), 2002, in the form of trec_eval's `ndcg_cut`).
 */
export function ndcgAt(ranking: readonly string[], grades: Grades, k: number): number {
  const found = ranking.slice(0, k).map((key) => grades.get(key) ?? 0);
  const best = [...grades.values()].sort((a, b) => b - a).slice(0, k);
  return gain(found) / gain(best);
}

function gain(grades: readonly number[]): number {
  return grades.reduce((sum, grade, i) => sum + grade / Math.log2(i + 2), 0);
}

/** Metric by metric. NaN without any. */
export function meanMetrics(all: readonly RankMetrics[]): RankMetrics {
  const mean = (name: keyof RankMetrics): number => all.reduce((sum, each) => sum + each[name], 0) / all.length;
  return {
    recallAt1: mean('recallAt1'),
    recallAt5: mean('recallAt5'),
    recallAt10: mean('recallAt10'),
    recallAtK: mean('recallAtK'),
    reciprocalRank: mean('reciprocalRank'),
    ndcgAt10: mean('ndcgAt10'),
  };
}
