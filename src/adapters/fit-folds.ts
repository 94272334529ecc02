import { columnMeans, type Dense, shuffled, takeRows } from './dense.ts';
import type { Pairs } from './fit-types.ts';

/** Pairs about their means, in a seeded order, cut into parts of which each is left out once. */
export interface Folds {
  readonly sourceMean: Float64Array;
  readonly targetMean: Float64Array;
  readonly parts: readonly { readonly source: Dense; readonly target: Dense }[];
  readonly samples: number;
}

/** Few samples leave a part too small to tell anything. */
const LARGEST_COUNT = 5;

export function cutFolds({ source, target }: Pairs, seed: number, count = LARGEST_COUNT): Folds {
  const order = shuffled(source.rows, seed);
  const sourceMean = columnMeans(source);
  const targetMean = columnMeans(target);
  const parts = Array.from({ length: count }, (_, k) => {
    const rows = order.subarray(Math.floor((k * order.length) / count), Math.floor(((k + 1) * order.length) / count));
    return { source: takeRows(source, rows, sourceMean), target: takeRows(target, rows, targetMean) };
  });
  return { sourceMean, targetMean, parts, samples: source.rows };
}
