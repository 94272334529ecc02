import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../models/onnx-writer.ts';

/** What the training makes smaller: one less the cosine, or the squared error of a vector. Mean over the batch. */
export type MlpLoss = 'cosine' | 'error';

/** `input` → `hidden` units → `output`. */
export interface MlpShape {
  readonly input: number;
  readonly hidden: number;
  readonly output: number;
}

/** What is learned; the graph takes each with its two moments (`m_`, `v_`) and gives them back as `new_…`. */
export const MLP_WEIGHTS = ['weight', 'bias', 'up'] as const;

const ADAM = { first: 0.9, second: 0.999, epsilon: 1e-8 };

export function dimsOf({ input, hidden, output }: MlpShape): Readonly<Record<(typeof MLP_WEIGHTS)[number], number[]>> {
  return { weight: [input, hidden], bias: [hidden], up: [hidden, output] };
}

/** `y = base + gelu(x·weight + bias)·up`; `x` `[rows, input]`, `base` and `y` `[rows, output]`. */
export function mlpForwardGraph(shape: MlpShape): OnnxGraph {
  return {
    name: 'residual-mlp',
    inputs: [...batchOf(shape), ...weightsOf(shape, '')],
    outputs: [{ name: 'y', type: 'float', dims: ['rows', shape.output] }],
    constants: CONSTANTS,
    nodes: FORWARD,
  };
}

/**
 * One step of training: forward, backward, Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019). Beside the batch
 * and its `target`, `rate` is the step's rate with Adam's corrections for its first steps, `decay` the rate times the weight decay.
 */
export function mlpStepGraph(shape: MlpShape, loss: MlpLoss): OnnxGraph {
  const scalar = (name: string): OnnxValue => ({ name, type: 'float', dims: [1] });
  const target: OnnxValue = { name: 'target', type: 'float', dims: ['rows', shape.output] };
  const states = ['', 'm_', 'v_'];
  return {
    name: 'residual-mlp-step',
    inputs: [
      ...batchOf(shape),
      target,
      scalar('rate'),
      scalar('decay'),
      scalar('share'),
      ...states.flatMap((state) => weightsOf(shape, state)),
    ],
    outputs: [
      { name: 'loss', type: 'float', dims: [] },
      ...states.flatMap((state) => weightsOf(shape, `new_${state}`)),
    ],
    constants: CONSTANTS,
    nodes: [
      ...FORWARD,
      ...(loss === 'cosine' ? COSINE : ERROR),
      ...BACKWARD,
      ...MLP_WEIGHTS.flatMap((name) => adamNodes(name)),
    ],
  };
}

function batchOf({ input, output }: MlpShape): OnnxValue[] {
  return [
    { name: 'x', type: 'float', dims: ['rows', input] },
    { name: 'base', type: 'float', dims: ['rows', output] },
  ];
}

function weightsOf(shape: MlpShape, prefix: string): OnnxValue[] {
  const dims = dimsOf(shape);
  return MLP_WEIGHTS.map((name) => ({ name: `${prefix}${name}`, type: 'float', dims: dims[name] }));
}

function node(op: string, inputs: string, output: string, attributes: OnnxNode['attributes'] = {}): OnnxNode {
  return { op, inputs: inputs.split(' '), output, attributes };
}

const AXES: readonly OnnxTensor[] = [
  { name: 'rows_axis', dims: [1], data: BigInt64Array.of(0n) },
  { name: 'axis', dims: [1], data: BigInt64Array.of(1n) },
];

const NUMBERS: readonly OnnxTensor[] = Object.entries({
  root: Math.SQRT1_2,
  one: 1,
  half: 0.5,
  minusHalf: -0.5,
  density: 1 / Math.sqrt(2 * Math.PI),
  least: 1e-12,
  two: 2,
  first: ADAM.first,
  firstRest: 1 - ADAM.first,
  second: ADAM.second,
  secondRest: 1 - ADAM.second,
  epsilon: ADAM.epsilon,
}).map(([name, value]) => ({ name, dims: [1], data: Float32Array.of(value) }));

const CONSTANTS = [...AXES, ...NUMBERS];

/** `normal` is the normal distribution's Φ(z), of which the exact GELU is z·Φ(z). */
const FORWARD: readonly OnnxNode[] = [
  node('Gemm', 'x weight bias', 'z'),
  node('Mul', 'z root', 'z_scaled'),
  node('Erf', 'z_scaled', 'z_erf'),
  node('Add', 'z_erf one', 'z_twice'),
  node('Mul', 'z_twice half', 'normal'),
  node('Mul', 'z normal', 'a'),
  node('MatMul', 'a up', 'beside'),
  node('Add', 'base beside', 'y'),
];

/** `1 − ŷ·t` of the row's direction ŷ, and its derivative `−(t − ŷ(ŷ·t)) / |y|`, times `share`, one by the rows. */
const COSINE: readonly OnnxNode[] = [
  node('ReduceL2', 'y', 'y_norm', { axes: [1] }),
  node('Max', 'y_norm least', 'length'),
  node('Div', 'y length', 'direction'),
  node('Mul', 'direction target', 'meeting'),
  node('ReduceSum', 'meeting axis', 'cosine', { keepdims: 1 }),
  node('Sub', 'one cosine', 'row_loss'),
  node('ReduceMean', 'row_loss', 'loss', { keepdims: 0 }),
  node('Mul', 'direction cosine', 'along'),
  node('Sub', 'along target', 'across'),
  node('Div', 'across length', 'row_slope'),
  node('Mul', 'row_slope share', 'dy'),
];

/** The squared length of `y − t`, and its derivative. */
const ERROR: readonly OnnxNode[] = [
  node('Sub', 'y target', 'difference'),
  node('Mul', 'difference difference', 'squares'),
  node('ReduceSum', 'squares axis', 'row_loss', { keepdims: 1 }),
  node('ReduceMean', 'row_loss', 'loss', { keepdims: 0 }),
  node('Mul', 'difference two', 'row_slope'),
  node('Mul', 'row_slope share', 'dy'),
];

/** GELU's derivative is Φ(z) + z·φ(z). */
const BACKWARD: readonly OnnxNode[] = [
  node('Gemm', 'a dy', 'g_up', { transA: 1 }),
  node('Gemm', 'dy up', 'da', { transB: 1 }),
  node('Mul', 'z z', 'z_square'),
  node('Mul', 'z_square minusHalf', 'z_exponent'),
  node('Exp', 'z_exponent', 'z_bell'),
  node('Mul', 'z_bell density', 'z_density'),
  node('Mul', 'z z_density', 'z_slope'),
  node('Add', 'normal z_slope', 'gelu_slope'),
  node('Mul', 'da gelu_slope', 'dz'),
  node('Gemm', 'x dz', 'g_weight', { transA: 1 }),
  node('ReduceSum', 'dz rows_axis', 'g_bias', { keepdims: 0 }),
];

function adamNodes(name: string): OnnxNode[] {
  const at = (part: string): string => `${name}_${part}`;
  return [
    node('Mul', `m_${name} first`, at('m_kept')),
    node('Mul', `g_${name} firstRest`, at('m_added')),
    node('Add', `${at('m_kept')} ${at('m_added')}`, `new_m_${name}`),
    node('Mul', `v_${name} second`, at('v_kept')),
    node('Mul', `g_${name} g_${name}`, at('square')),
    node('Mul', `${at('square')} secondRest`, at('v_added')),
    node('Add', `${at('v_kept')} ${at('v_added')}`, `new_v_${name}`),
    node('Sqrt', `new_v_${name}`, at('root')),
    node('Add', `${at('root')} epsilon`, at('divisor')),
    node('Div', `new_m_${name} ${at('divisor')}`, at('way')),
    node('Mul', `${at('way')} rate`, at('step')),
    node('Mul', `${name} decay`, at('shrinking')),
    node('Sub', `${name} ${at('step')}`, at('moved')),
    node('Sub', `${at('moved')} ${at('shrinking')}`, `new_${name}`),
  ];
}
