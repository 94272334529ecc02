import { plusRow } from './dense.ts';
import type { Folds } from './fit-folds.ts';
import type { Score } from './fit-score.ts';
import type { Algebra } from './linear-algebra.ts';
import { dualSystems } from './ridge-dual.ts';
import { primalSystems } from './ridge-primal.ts';
import type { RidgeSolution, RidgeSystem } from './ridge-systems.ts';

/** Multiples of the sum of squares of a source value (mean over the dimensions); a factor of √10 apart. */
const PENALTIES = Array.from({ length: 13 }, (_, k) => 10 ** (k / 2 - 4));

/** What one penalty makes of the parts left out. */
interface Trial {
  readonly penalty: number;
  /** Mean over all pairs, each predicted by the regression that had not seen it. */
  readonly score: number;
  /** The score of each pair, in the order of the folds. */
  readonly scores: Float64Array;
  /** With each part left out. */
  readonly solutions: readonly RidgeSolution[];
}

/** The penalty that suits what was left out best. */
export interface CrossValidatedRidge extends Trial {
  /** The mean square of a centred source value. */
  readonly scale: number;
  /** The solution on all pairs. */
  readonly solution: RidgeSolution;
}

/**
 * Ridge regression with an unpenalised bias (Hoerl and Kennard 1970); the penalty is the one of the grid whose predictions of the parts left
 * out score best. The score has one summit over the grid: it is climbed from the middle.
 *
 * @param penalties ascending
 */
export async function crossValidateRidge(
  algebra: Algebra,
  folds: Folds,
  score: Score,
  penalties: readonly number[] = PENALTIES,
): Promise<CrossValidatedRidge> {
  const dimensions = folds.sourceMean.length;
  const system = await (folds.samples < dimensions ? dualSystems : primalSystems)(algebra, folds);
  const systems = folds.parts.map((_, left) => system(left));
  const attempt = (i: number): Promise<Trial | undefined> => tryPenalty(folds, systems, score, penalties[i]);
  const start = Math.floor((penalties.length - 1) / 2);
  let best = await attempt(start);
  for (const step of [-1, 1]) {
    for (let i = start + step; ; i += step) {
      const next = await attempt(i);
      if (next === undefined || (best !== undefined && next.score <= best.score)) break;
      best = next;
    }
    if (best?.penalty !== penalties[start]) break;
  }
  if (best === undefined) throw new Error('no penalty was given');
  const whole = system();
  return { ...best, scale: whole.scale / folds.samples, solution: await whole.solve(best.penalty) };
}

async function tryPenalty(
  folds: Folds,
  systems: readonly RidgeSystem[],
  score: Score,
  penalty: number | undefined,
): Promise<Trial | undefined> {
  if (penalty === undefined) return undefined;
  const solutions: RidgeSolution[] = [];
  const scores: Float64Array[] = [];
  for (const [left, part] of folds.parts.entries()) {
    const solution = await systems[left]?.solve(penalty);
    if (solution === undefined) continue;
    const predicted = await solution.predict();
    solutions.push(solution);
    scores.push(score(plusRow(predicted, folds.targetMean), plusRow(part.target, folds.targetMean)));
  }
  return { penalty, solutions, ...joined(scores) };
}

function joined(parts: readonly Float64Array[]): { readonly scores: Float64Array; readonly score: number } {
  const scores = Float64Array.from(parts.flatMap((part) => Array.from(part)));
  return { scores, score: scores.reduce((sum, value) => sum + value, 0) / scores.length };
}
