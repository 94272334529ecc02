import { AdapterError } from '../errors.ts';
import { assertDimensions, assertPairs, assertSpan } from './check-pairs.ts';
import { cutFolds } from './fit-folds.ts';
import { affineLayer } from './fit-layers.ts';
import { fitLowRank } from './fit-low-rank.ts';
import { fitMlp } from './fit-mlp.ts';
import { fitProcrustes } from './fit-procrustes.ts';
import { type CrossValidatedRidge, crossValidateRidge } from './fit-ridge.ts';
import { cosineScore, errorScore } from './fit-score.ts';
import type { FitSettings, Fitted, Pairs } from './fit-types.ts';
import type { Algebra } from './linear-algebra.ts';
import { assertOneFit, assertOneModel } from './mixed-models.ts';
import type { ProjectionKind } from './types.ts';

/** What became of each kind: a map, or why there is none. */
export type KindOutcomes = ReadonlyMap<ProjectionKind, TimedFit | AdapterError>;

/** `seconds` of the fitting; what kinds share is counted with the first that needs it. */
export interface TimedFit extends Fitted {
  readonly seconds: number;
}

/**
 * Learns maps of several kinds from the same pairs, in this thread: moments, folds and the ridge regression are made once.
 * @throws AdapterError where the pairs are of no use to any kind
 */
export async function fitKinds(
  algebra: Algebra,
  kinds: readonly ProjectionKind[],
  pairs: Pairs,
  settings: FitSettings,
): Promise<KindOutcomes> {
  assertPairs(pairs);
  const { seed, normalize } = settings;
  const score = normalize ? cosineScore : errorScore;
  await assertOneModel(algebra, pairs, seed);
  const folds = cutFolds(pairs, seed);
  const crossValidate = async (): Promise<CrossValidatedRidge> => {
    await assertSpan(algebra, pairs);
    const found = await crossValidateRidge(algebra, folds, score);
    if (normalize) assertOneFit(found.scores);
    return found;
  };
  let ridge: Promise<CrossValidatedRidge> | undefined;
  const ridgeOnce = (): Promise<CrossValidatedRidge> => {
    ridge ??= crossValidate();
    return ridge;
  };
  const fits: Record<ProjectionKind, () => Promise<Fitted>> = {
    identity: async () => identityOf(pairs, normalize),
    procrustes: () => fitProcrustes(algebra, folds, normalize),
    async ridge() {
      const { penalty, score: reached, solution } = await ridgeOnce();
      const layer = affineLayer(await solution.weight(), folds.sourceMean, folds.targetMean, normalize);
      return { projection: { layers: [layer] }, parameters: { penalty, score: reached } };
    },
    'low-rank': async () => fitLowRank(algebra, folds, await ridgeOnce(), { score, normalize }),
    'residual-mlp': async () => fitMlp(algebra, folds, await ridgeOnce(), { ...settings, score }),
  };
  const outcomes = new Map<ProjectionKind, TimedFit | AdapterError>();
  for (const kind of kinds) {
    try {
      assertDimensions(kind, pairs);
      const started = performance.now();
      const fitted = await fits[kind]();
      outcomes.set(kind, { ...fitted, seconds: (performance.now() - started) / 1000 });
    } catch (error) {
      if (!(error instanceof AdapterError)) throw error;
      outcomes.set(kind, error);
    }
  }
  return outcomes;
}

function identityOf({ source }: Pairs, normalize: boolean): Fitted {
  const { columns } = source;
  const layer = { input: columns, output: columns, weight: undefined, bias: undefined, hidden: undefined, normalize };
  return { projection: { layers: [layer] }, parameters: {} };
}
