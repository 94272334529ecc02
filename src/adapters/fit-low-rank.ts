import { type Dense, leadingColumns, plusRow, transpose } from './dense.ts';
import type { Folds } from './fit-folds.ts';
import { affineLayer } from './fit-layers.ts';
import type { CrossValidatedRidge } from './fit-ridge.ts';
import type { Score } from './fit-score.ts';
import type { Fitted } from './fit-types.ts';
import { type Algebra, leadingEigen } from './linear-algebra.ts';
import type { ProjectionLayer } from './types.ts';

const RANKS = [8, 16, 32, 48, 64, 96, 128, 192, 256, 320, 384, 448];
/** A rank that scores so little below the best is as good, and smaller. */
const TOLERANCE = 0.001;

/**
 * Reduced-rank regression upon the ridge's solution (Izenman 1975; with a penalty: Mukherjee and Zhu 2011): of what the ridge explains only the
 * strongest directions are kept; how many, the parts that were left out decide.
 */
export async function fitLowRank(
  algebra: Algebra,
  folds: Folds,
  ridge: CrossValidatedRidge,
  { score, normalize }: { readonly score: Score; readonly normalize: boolean },
): Promise<Fitted> {
  const ranks = RANKS.filter((rank) => rank <= Math.min(folds.sourceMean.length, folds.targetMean.length));
  const most = ranks.at(-1) ?? 1;
  const scores = ranks.map(() => 0);
  for (const [left, part] of folds.parts.entries()) {
    const solution = ridge.solutions[left];
    if (solution === undefined) continue;
    const { vectors } = await leadingEigen(algebra, await solution.explained(), most);
    const predicted = await solution.predict();
    const inside = await algebra.multiply(
      plusRow(
        predicted,
        solution.targetMean.map((value) => -value),
      ),
      vectors,
    );
    const real = plusRow(part.target, folds.targetMean);
    const mean = solution.targetMean.map((value, j) => value + (folds.targetMean[j] ?? 0));
    for (const [i, rank] of ranks.entries()) {
      const kept = await algebra.multiply(leadingColumns(inside, rank), leadingColumns(vectors, rank), 'second');
      for (const value of score(plusRow(kept, mean), real)) scores[i] = (scores[i] ?? 0) + value / folds.samples;
    }
  }
  const best = Math.max(...scores);
  const chosen = Math.max(
    0,
    scores.findIndex((value) => value >= best - TOLERANCE * Math.abs(best)),
  );
  const rank = ranks[chosen] ?? 1;
  const { vectors } = await leadingEigen(algebra, await ridge.solution.explained(), rank);
  const down = await algebra.multiply(await ridge.solution.weight(), vectors);
  const layers = await layersOf(algebra, { down, up: vectors, folds, normalize });
  return { projection: { layers }, parameters: { penalty: ridge.penalty, rank, score: scores[chosen] ?? best } };
}

/** Two layers where they are smaller than one. */
async function layersOf(
  algebra: Algebra,
  {
    down,
    up,
    folds,
    normalize,
  }: { readonly down: Dense; readonly up: Dense; readonly folds: Folds; readonly normalize: boolean },
): Promise<ProjectionLayer[]> {
  const { sourceMean, targetMean } = folds;
  const rank = down.columns;
  if (rank * (down.rows + up.rows) >= down.rows * up.rows) {
    return [affineLayer(await algebra.multiply(down, up, 'second'), sourceMean, targetMean, normalize)];
  }
  const origin = new Float64Array(rank);
  const turned = transpose(up);
  return [affineLayer(down, sourceMean, origin, false), affineLayer(turned, origin, targetMean, normalize)];
}
