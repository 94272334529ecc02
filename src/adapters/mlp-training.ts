import type { GraphTensor } from '../models/graph.ts';
import { gaussian, shuffled } from './dense.ts';
import type { Algebra } from './linear-algebra.ts';
import { dimsOf, MLP_WEIGHTS, type MlpLoss, type MlpShape, mlpForwardGraph, mlpStepGraph } from './mlp-graph.ts';

/** Row by row: the centred source, what the linear map makes of it, what it should be. */
export interface MlpSamples {
  readonly rows: number;
  readonly x: Float32Array;
  readonly base: Float32Array;
  readonly target: Float32Array;
}

export type MlpWeights = Readonly<Record<(typeof MLP_WEIGHTS)[number], Float32Array>>;

/** A hidden layer in training. */
export interface Mlp {
  /** All samples once, in minibatches of a seeded order. Returns the mean loss. */
  epoch(samples: MlpSamples): Promise<number>;
  /** `[rows, output]`. */
  predict(samples: Omit<MlpSamples, 'target'>): Promise<Float32Array>;
  /** As they are now; later steps make new ones. */
  weights(): MlpWeights;
}

export interface MlpOptions {
  readonly seed: number;
  readonly loss: MlpLoss;
  readonly rate?: number;
  readonly decay?: number;
  readonly batch?: number;
}

/** Opens a hidden layer whose first weights the seed decides; those to the output are zero, so that it begins as the linear map. */
export async function openMlp(
  algebra: Algebra,
  shape: MlpShape,
  { seed, loss, rate = 3e-4, decay = 0.1, batch = 128 }: MlpOptions,
): Promise<Mlp> {
  const stepGraph = await algebra.open(mlpStepGraph(shape, loss));
  const forwardGraph = await algebra.open(mlpForwardGraph(shape));
  let state = firstState(shape, seed);
  let steps = 0;
  let epochs = 0;
  const batchOf = (samples: MlpSamples, rows: Uint32Array): Record<string, GraphTensor> => ({
    x: pick(samples.x, rows, shape.input),
    base: pick(samples.base, rows, shape.output),
    target: pick(samples.target, rows, shape.output),
  });
  const step = async (samples: MlpSamples, rows: Uint32Array): Promise<number> => {
    steps += 1;
    const corrected = (rate * Math.sqrt(1 - 0.999 ** steps)) / (1 - 0.9 ** steps);
    const settings = { rate: scalar(corrected), decay: scalar(rate * decay), share: scalar(1 / rows.length) };
    const results = await stepGraph.run({ ...batchOf(samples, rows), ...settings, ...state });
    state = Object.fromEntries(Object.keys(state).map((name) => [name, tensorOf(results, `new_${name}`)]));
    return Number(results.loss?.data[0]);
  };
  return {
    async epoch(samples) {
      const order = shuffled(samples.rows, seed + ++epochs);
      let sum = 0;
      for (let at = 0; at < order.length; at += batch) {
        const rows = order.subarray(at, at + batch);
        sum += (await step(samples, rows)) * rows.length;
      }
      return sum / samples.rows;
    },
    async predict({ rows, x, base }) {
      const inputs = { x: { data: x, dims: [rows, shape.input] }, base: { data: base, dims: [rows, shape.output] } };
      const weights = Object.fromEntries(MLP_WEIGHTS.map((name) => [name, tensorOf(state, name)]));
      return singlesOf(tensorOf(await forwardGraph.run({ ...inputs, ...weights }), 'y'));
    },
    weights() {
      const [weight, bias, up] = MLP_WEIGHTS.map((name) => singlesOf(tensorOf(state, name)));
      return { weight: weight ?? NONE, bias: bias ?? NONE, up: up ?? NONE };
    },
  };
}

const NONE = new Float32Array();

/** The weights and both moments of each. */
function firstState(shape: MlpShape, seed: number): Record<string, GraphTensor> {
  const dims = dimsOf(shape);
  const random = gaussian(shape.input, shape.hidden, seed).data;
  const state: Record<string, GraphTensor> = {};
  for (const name of MLP_WEIGHTS) {
    const size = dims[name].reduce((product, dim) => product * dim, 1);
    for (const prefix of ['', 'm_', 'v_'])
      state[`${prefix}${name}`] = { data: new Float32Array(size), dims: dims[name] };
  }
  const data = Float32Array.from(random, (value) => value / Math.sqrt(shape.input));
  return { ...state, weight: { data, dims: dims.weight } };
}

function tensorOf(tensors: Readonly<Record<string, GraphTensor>>, name: string): GraphTensor {
  return tensors[name] ?? { data: NONE, dims: [0] };
}

function singlesOf({ data }: GraphTensor): Float32Array {
  return data instanceof Float32Array ? data : NONE;
}

function pick(data: Float32Array, rows: Uint32Array, columns: number): GraphTensor {
  const result = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    result.set(data.subarray(row * columns, (row + 1) * columns), i * columns);
  });
  return { data: result, dims: [rows.length, columns] };
}

function scalar(value: number): GraphTensor {
  return { data: Float32Array.of(value), dims: [1] };
}
