import { seededRandom } from '../../vector/random.ts';
import type { AskedQuery } from './types.ts';

/** Places in a sample, each in one part at most. */
export interface SplitSample {
  readonly training: readonly number[];
  readonly validation: readonly number[];
  readonly holdout: readonly number[];
}

export interface SplitSizes {
  readonly texts: number;
  readonly validation: number;
  readonly holdout: number;
  readonly seed: number;
}

/** Of the queries that name their answers two of three are for the holdout; the others choose among the kinds. */
const HOLDOUT_QUERIES = 2 / 3;

/**
 * Cuts a sample by the seed into what is learned from, what is chosen by and what is measured on. Texts that answer queries come first where
 * they are measured: drawn at random they would hardly be there.
 *
 * @param asked queries that name their answers; undefined where every text is asked for
 */
export function splitSample(
  { texts, validation, holdout, seed }: SplitSizes,
  asked: readonly AskedQuery[] | undefined,
): SplitSample {
  const order = shuffled([...Array(texts).keys()], seed);
  const queries = shuffled(asked ?? [], seed);
  const first = validation === 0 ? queries.length : Math.ceil(queries.length * HOLDOUT_QUERIES);
  const taken = new Set<number>();
  const take = (wanted: readonly number[], most: number): number[] => {
    const fresh = [...new Set(wanted)].filter((place) => !taken.has(place)).slice(0, most);
    for (const place of fresh) taken.add(place);
    return fresh;
  };
  const answersOf = (some: readonly AskedQuery[]): number[] => some.flatMap(({ answers }) => answers);
  return {
    holdout: take([...answersOf(queries.slice(0, first)), ...order], holdout),
    validation: take([...answersOf(queries.slice(first)), ...order], validation),
    training: take(order, texts),
  };
}

/** By Fisher and Yates, in an order that the seed decides. */
export function shuffled<T>(values: readonly T[], seed: number): T[] {
  const random = seededRandom(seed);
  const result = [...values];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [result[i], result[j]];
    if (a !== undefined && b !== undefined) [result[i], result[j]] = [b, a];
  }
  return result;
}
