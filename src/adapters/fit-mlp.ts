import { AdapterError } from '../errors.ts';
import { meanOf } from '../vector/distribution.ts';
import { type Dense, plusRow, takeRows } from './dense.ts';
import type { Folds } from './fit-folds.ts';
import { affineLayer } from './fit-layers.ts';
import type { CrossValidatedRidge } from './fit-ridge.ts';
import type { Score } from './fit-score.ts';
import type { FitSettings, Fitted, Pairs } from './fit-types.ts';
import type { Algebra } from './linear-algebra.ts';
import type { MlpShape } from './mlp-graph.ts';
import { type MlpSamples, type MlpWeights, openMlp } from './mlp-training.ts';
import type { HiddenLayer } from './types.ts';

const HIDDEN = 256;
/** With fewer, a hidden layer learns nothing that lasts. */
const LEAST_SAMPLES = 200;
const VALIDATION = 0.1;
const MOST_EPOCHS = 60;
/** Epochs without a better score after which the training ends. */
const PATIENCE = 6;

export interface MlpSettings extends FitSettings {
  readonly score: Score;
}

/**
 * A hidden layer beside the ridge regression, which learns what that one leaves. It is trained on what regressions that had not seen a pair make
 * of it: on its own pairs a ridge leaves much less than on others. The epoch whose weights score best on the validation part is kept; where
 * none is better than the ridge alone there is no hidden layer.
 * @throws AdapterError `too_few_samples`
 */
export async function fitMlp(
  algebra: Algebra,
  folds: Folds,
  ridge: CrossValidatedRidge,
  settings: MlpSettings,
): Promise<Fitted> {
  const weight = await ridge.solution.weight();
  const scale = Math.sqrt(ridge.scale);
  const samples = await samplesOf(folds, ridge, scale);
  const { training, validation } = await parted(algebra, { folds, samples, weight, scale, given: settings.validation });
  if (training.rows < LEAST_SAMPLES) throw tooFew(training.rows);
  const shape = { input: weight.rows, hidden: HIDDEN, output: weight.columns };
  const found = await train(algebra, shape, { training, validation }, settings);
  const layer = affineLayer(weight, folds.sourceMean, folds.targetMean, settings.normalize);
  const hidden = found.epochs === 0 ? undefined : hiddenLayer(shape, found.weights, folds.sourceMean, scale);
  return {
    projection: { layers: [{ ...layer, hidden }] },
    parameters: { penalty: ridge.penalty, hidden: hidden?.size ?? 0, epochs: found.epochs, score: found.score },
  };
}

/** All pairs in the order of the folds, each with what the regression without it makes of it. */
async function samplesOf({ parts, targetMean }: Folds, ridge: CrossValidatedRidge, scale: number): Promise<MlpSamples> {
  const bases: Dense[] = [];
  for (const solution of ridge.solutions) bases.push(plusRow(await solution.predict(), targetMean));
  return {
    rows: bases.reduce((sum, base) => sum + base.rows, 0),
    x: singles(
      parts.map(({ source }) => source),
      1 / scale,
    ),
    base: singles(bases),
    target: singles(parts.map(({ target }) => plusRow(target, targetMean))),
  };
}

interface Parting {
  readonly folds: Folds;
  readonly samples: MlpSamples;
  readonly weight: Dense;
  readonly scale: number;
  readonly given: Pairs | undefined;
}

/** The validation part is what was given, or the last tenth: the folds are in random order. */
async function parted(
  algebra: Algebra,
  { folds, samples, weight, scale, given }: Parting,
): Promise<{ readonly training: MlpSamples; readonly validation: MlpSamples }> {
  if (given === undefined) {
    const kept = samples.rows - Math.ceil(samples.rows * VALIDATION);
    return { training: slice(samples, 0, kept), validation: slice(samples, kept, samples.rows) };
  }
  const all = Array.from({ length: given.source.rows }, (_, i) => i);
  const source = takeRows(given.source, all, folds.sourceMean);
  const base = plusRow(await algebra.multiply(source, weight), folds.targetMean);
  const validation = {
    rows: all.length,
    x: singles([source], 1 / scale),
    base: singles([base]),
    target: given.target.data,
  };
  return { training: samples, validation };
}

interface Found {
  readonly weights: MlpWeights;
  /** 0: nothing is better than no hidden layer. */
  readonly epochs: number;
  readonly score: number;
}

async function train(
  algebra: Algebra,
  shape: MlpShape,
  { training, validation }: { readonly training: MlpSamples; readonly validation: MlpSamples },
  { score, normalize, seed }: MlpSettings,
): Promise<Found> {
  const mlp = await openMlp(algebra, shape, { seed, loss: normalize ? 'cosine' : 'error' });
  const dense = (data: Float32Array): Dense => ({
    rows: validation.rows,
    columns: shape.output,
    data: Float64Array.from(data),
  });
  const real = dense(validation.target);
  let best: Found = { weights: mlp.weights(), epochs: 0, score: meanOf(score(dense(validation.base), real)) };
  for (let epoch = 1; epoch <= MOST_EPOCHS && epoch - best.epochs <= PATIENCE; epoch++) {
    await mlp.epoch(training);
    const reached = meanOf(score(dense(await mlp.predict(validation)), real));
    if (reached > best.score) best = { weights: mlp.weights(), epochs: epoch, score: reached };
  }
  return best;
}

/** The training saw `(x − mean) / scale`; the layer sees x. */
function hiddenLayer(shape: MlpShape, weights: MlpWeights, mean: Float64Array, scale: number): HiddenLayer {
  const weight = weights.weight.map((value) => value / scale);
  const bias = Float32Array.from(weights.bias, (value, unit) => {
    let moved = 0;
    for (let i = 0; i < shape.input; i++) moved += (mean[i] ?? 0) * (weight[i * shape.hidden + unit] ?? 0);
    return value - moved;
  });
  return { size: shape.hidden, weight, bias, output: weights.up };
}

function singles(parts: readonly Dense[], factor = 1): Float32Array {
  const result = new Float32Array(parts.reduce((sum, { data }) => sum + data.length, 0));
  let at = 0;
  for (const { data } of parts) {
    result.set(factor === 1 ? data : data.map((value) => value * factor), at);
    at += data.length;
  }
  return result;
}

function slice(samples: MlpSamples, from: number, to: number): MlpSamples {
  const cut = (data: Float32Array): Float32Array => {
    const columns = data.length / samples.rows;
    return data.subarray(from * columns, to * columns);
  };
  return { rows: to - from, x: cut(samples.x), base: cut(samples.base), target: cut(samples.target) };
}

function tooFew(rows: number): AdapterError {
  return new AdapterError(
    'too_few_samples',
    `residual-mlp has ${rows} pairs to train on; ${LEAST_SAMPLES} are the least.`,
    {
      step: 'adapter',
      hint: 'Train with more samples, or with --kind ridge.',
      context: { observed: rows, expected: LEAST_SAMPLES },
    },
  );
}
