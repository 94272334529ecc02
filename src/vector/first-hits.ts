/** The best of one query's scores: positions, best first, and their scores. */
export interface FirstHits {
  readonly places: readonly number[];
  readonly scores: readonly number[];
}

/**
 * The `k` highest scores, of equal ones the first.
 *
 * @param skip a position that is no hit: a row's own
 */
export function firstHits(scores: ArrayLike<number>, k: number, skip = -1): FirstHits {
  const places: number[] = [];
  const found: number[] = [];
  for (let place = 0; place < scores.length; place++) {
    const score = scores[place] ?? Number.NaN;
    if (place === skip || (found.length === k && !(score > (found[k - 1] ?? 0)))) continue;
    let at = found.length;
    while (at > 0 && score > (found[at - 1] ?? 0)) at--;
    places.splice(at, 0, place);
    found.splice(at, 0, score);
    if (found.length > k) {
      places.pop();
      found.pop();
    }
  }
  return { places, scores: found };
}
