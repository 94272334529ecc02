import { describe, expect, it } from 'vitest';
import { meanMetrics, scoreRanking } from '../../../src/evaluate/metrics.ts';

/** Judgements and rankings, and what pytrec_eval-terrier 0.5.11 (trec_eval) and ranx 0.3.21 make of them: both give these numbers. */
const REFERENCE = [
  {
    grades: { a: 1 },
    ranking: 'abc',
    recall: [1, 1, 1],
    reciprocalRank: 1,
    ndcg: 1,
  },
  {
    grades: { a: 1, b: 1, c: 1 },
    ranking: 'dbeafghijc',
    recall: [0, 0.6666666666666666, 1],
    reciprocalRank: 0.5,
    ndcg: 0.6338412308988606,
  },
  {
    grades: { a: 3, b: 2, c: 1 },
    ranking: 'cdbea',
    recall: [0.3333333333333333, 1, 1],
    reciprocalRank: 1,
    ndcg: 0.6637235762547601,
  },
  { grades: { x: 1 }, ranking: 'abcdefghij', recall: [0, 0, 0], reciprocalRank: 0, ndcg: 0 },
  {
    grades: { a: 2, b: 2, c: 1, e: 1, f: 3, g: 1, h: 1, i: 1, j: 2, k: 1, l: 1, m: 3 },
    ranking: 'bxaymzcwlf',
    recall: [0.08333333333333333, 0.25, 0.5],
    reciprocalRank: 1,
    ndcg: 0.6206454425679517,
  },
  { grades: { z: 5 }, ranking: 'abcdefghiz', recall: [0, 0, 1], reciprocalRank: 0.1, ndcg: 0.2890648263178878 },
];
/** Their means, as ranx gives them. */
const MEANS = {
  recallAt1: 0.23611111111111108,
  recallAt5: 0.4861111111111111,
  recallAt10: 0.75,
  mrr: 0.6,
  ndcg: 0.5345458460065767,
};

function score({ grades, ranking }: (typeof REFERENCE)[number], k = 3) {
  return scoreRanking([...ranking], new Map(Object.entries(grades)), k);
}

describe('scoreRanking', () => {
  it.each(REFERENCE)('reckons $ranking as trec_eval and ranx do', (reference) => {
    const found = score(reference);
    const recalls = [found.recallAt1, found.recallAt5, found.recallAt10];
    for (const [i, expected] of reference.recall.entries()) expect(recalls[i]).toBeCloseTo(expected, 12);
    expect(found.reciprocalRank).toBeCloseTo(reference.reciprocalRank, 12);
    expect(found.ndcgAt10).toBeCloseTo(reference.ndcg, 12);
  });

  it('has their means, the MRR among them', () => {
    const mean = meanMetrics(REFERENCE.map((each) => score(each)));
    expect(mean.recallAt1).toBeCloseTo(MEANS.recallAt1, 12);
    expect(mean.recallAt5).toBeCloseTo(MEANS.recallAt5, 12);
    expect(mean.recallAt10).toBeCloseTo(MEANS.recallAt10, 12);
    expect(mean.reciprocalRank).toBeCloseTo(MEANS.mrr, 12);
    expect(mean.ndcgAt10).toBeCloseTo(MEANS.ndcg, 12);
  });

  it('takes the depth that is asked for', () => {
    const [, second] = REFERENCE;
    if (second === undefined) throw new Error('no reference');
    expect(score(second, 2).recallAtK).toBeCloseTo(1 / 3, 12);
    expect(score(second, 4).recallAtK).toBeCloseTo(2 / 3, 12);
  });
});
