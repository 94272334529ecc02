import { correlationSums } from '../vector/correlation.ts';
import { ascending, meanOf, quantile } from '../vector/distribution.ts';
import { firstHits } from '../vector/first-hits.ts';
import type { Similarities, SimilarityBlock } from './similarities.ts';
import type { Matrix, ProjectionMetrics } from './types.ts';

/** Mapped vectors, and in the same order those that they should have become. */
export interface MappedPairs {
  readonly adapted: Matrix;
  readonly real: Matrix;
}

const NEIGHBOURS = 10;

/** How far adapted vectors are from the real ones: by value, and by angle. */
export function measureDistance({ adapted, real }: MappedPairs): Pick<ProjectionMetrics, 'mse' | 'cosine'> {
  const { columns } = real;
  const cosines = new Float64Array(real.rows);
  let squares = 0;
  for (let row = 0; row < real.rows; row++) {
    let [product, lengthA, lengthB] = [0, 0, 0];
    for (let at = row * columns; at < (row + 1) * columns; at++) {
      const a = adapted.data[at] ?? 0;
      const b = real.data[at] ?? 0;
      squares += (a - b) ** 2;
      product += a * b;
      lengthA += a * a;
      lengthB += b * b;
    }
    cosines[row] = lengthA === 0 || lengthB === 0 ? 0 : product / Math.sqrt(lengthA * lengthB);
  }
  const mse = squares / (real.rows * columns);
  return { mse, cosine: { mean: meanOf(cosines), p5: quantile(ascending(cosines), 0.05) } };
}

/**
 * Whether adapted vectors lie to each other as the real ones do: the correlation of all pairs' cosines, and the share of the ten nearest real
 * neighbours (all others, where there are fewer) that are among the ten nearest adapted ones.
 */
export async function measureNeighbourhood(
  { adapted, real }: MappedPairs,
  similarities: Similarities,
): Promise<Pick<ProjectionMetrics, 'similarityPreservation' | 'neighbourConsistencyAt10'>> {
  const sums = correlationSums();
  const others = similarities.blocks(adapted, adapted);
  let kept = 0;
  for await (const block of similarities.blocks(real, real)) {
    // Of matrices of one shape, so that the parts are of the same rows.
    const { value } = await others.next();
    kept += compareBlock(block, value as SimilarityBlock, sums.add);
  }
  const depth = Math.min(NEIGHBOURS, real.rows - 1);
  return { similarityPreservation: sums.value(), neighbourConsistencyAt10: kept / (real.rows * depth) };
}

/** Each pair once; returns how many neighbours both have. */
function compareBlock(real: SimilarityBlock, adapted: SimilarityBlock, add: (x: number, y: number) => void): number {
  const { first, rows, columns } = real;
  let kept = 0;
  for (let row = 0; row < rows; row++) {
    const own = first + row;
    const x = real.values.subarray(row * columns, (row + 1) * columns);
    const y = adapted.values.subarray(row * columns, (row + 1) * columns);
    for (let other = own + 1; other < columns; other++) add(x[other] ?? 0, y[other] ?? 0);
    const nearest = new Set(firstHits(x, NEIGHBOURS, own).places);
    kept += firstHits(y, NEIGHBOURS, own).places.filter((place) => nearest.has(place)).length;
  }
  return kept;
}
