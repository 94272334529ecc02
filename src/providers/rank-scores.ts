export interface RankedText {
  /** The text's place in what was given. */
  readonly index: number;
  /** More is more relevant; scores of different queries need not compare. */
  readonly score: number;
}

/** The texts' places, the most relevant first; of equal scores the one that came first stays before. */
export function rankScores(scores: ArrayLike<number>): readonly RankedText[] {
  return Array.from(scores, (score, index) => ({ index, score })).sort(
    (a, b) => b.score - a.score || a.index - b.index,
  );
}
