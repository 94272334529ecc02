/** What became of the order of hits between two answers to one query; ranks count from 1. */
export interface RankChanges {
  /** Keys that only the first answer has, in its order. */
  readonly lost: readonly string[];
  /** Keys that only the second one has, in its order. */
  readonly gained: readonly string[];
  /** Keys that both have at different ranks, in the first one's order. */
  readonly moved: readonly { readonly key: string; readonly from: number; readonly to: number }[];
}

/**
 * The share of the first k hits that two answers have in common, 0..1: of the longer one's, where there are fewer than k. Two answers
 * without a hit agree.
 *
 * @param a, b keys without repetition, best first
 */
export function overlapAt(a: readonly string[], b: readonly string[], k: number): number {
  const first = a.slice(0, k);
  const wanted = new Set(b.slice(0, k));
  const longer = Math.max(first.length, wanted.size);
  return longer === 0 ? 1 : first.filter((key) => wanted.has(key)).length / longer;
}

/**
 * Rank-biased overlap, 0..1: agreement of two rankings in which the first places count most, extrapolated from what both lists
 * show to their unseen rest; lists may differ in length. Webber, Moffat, Zobel: A Similarity Measure for Indefinite Rankings, ACM TOIS 28(4), 2010, RBO_EXT,
 * equation 32. Two empty lists agree, an empty one and another do not.
 *
 * @param a, b keys without repetition, best first
 * @param p the weight of a place against the one before it, 0 to 1 exclusive; 0.9 gives the first ten places 86% of the weight
 */
export function rankBiasedOverlap(a: readonly string[], b: readonly string[], p = 0.9): number {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  if (short.length === 0) return long.length === 0 ? 1 : 0;
  const inShort = new Set<string>();
  const inLong = new Set<string>();
  let shared = 0;
  let sharedAtShort = 0;
  let sum = 0;
  for (let depth = 1; depth <= long.length; depth++) {
    shared += addNext(short[depth - 1], inShort, inLong) + addNext(long[depth - 1], inLong, inShort);
    if (depth === short.length) sharedAtShort = shared;
    const beyond = Math.max(0, depth - short.length);
    sum += p ** depth * (shared / depth + (sharedAtShort * beyond) / (short.length * depth));
  }
  const rest = (shared - sharedAtShort) / long.length + sharedAtShort / short.length;
  return ((1 - p) / p) * sum + rest * p ** long.length;
}

/** 1 when the key is new to its own list and stands in the other already: it joins the overlap. */
function addNext(key: string | undefined, own: Set<string>, other: ReadonlySet<string>): number {
  if (key === undefined || own.has(key)) return 0;
  own.add(key);
  return other.has(key) ? 1 : 0;
}

/** @param a, b keys without repetition, best first */
export function rankChanges(a: readonly string[], b: readonly string[]): RankChanges {
  const first = new Set(a);
  const rankInB = new Map(b.map((key, i) => [key, i + 1]));
  return {
    lost: a.filter((key) => !rankInB.has(key)),
    gained: b.filter((key) => !first.has(key)),
    moved: a.flatMap((key, i) => {
      const to = rankInB.get(key);
      return to === undefined || to === i + 1 ? [] : [{ key, from: i + 1, to }];
    }),
  };
}
