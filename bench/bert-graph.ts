import { createGraph, type GraphBuilder, randomValues } from '../src/bench/graph-builder.ts';
import { encodeOnnxModel } from '../src/models/onnx-writer.ts';
import { quantizeColumns } from './quantize-columns.ts';

export interface BertShape {
  readonly vocabulary: number;
  readonly positions: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
}

/** x `[batch, sequence, rows]` times a `[rows, columns]` matrix of weights, plus a bias. */
type Linear = (x: string, rows: number, columns: number) => string;

interface Parts {
  readonly graph: GraphBuilder;
  readonly shape: BertShape;
  readonly linear: Linear;
  /** Adds two activations and normalises the sum. */
  readonly addAndNormalize: (a: string, b: string) => string;
}

/** Uniform in ±√3·σ has the deviation σ. */
const ROOT_3 = Math.sqrt(3);
const BIAS_LIMIT = 0.02;
/** What masked scores get added: the lowest float, as in exports of transformers. */
const MASKED = -3.4028234663852886e38;

/**
 * A BERT encoder as PyTorch exports it, in ONNX, with random weights (σ 1/√rows, so that a product is of
 * the size of its input and the vector depends on every token): its vectors mean nothing, its arithmetic is the model's. `int8` holds the same weights, quantised per column, with activations quantised at run time, as
 * ONNX Runtime's own dynamic quantisation writes it (DynamicQuantizeLinear → MatMulInteger → scale).
 * @param output `logits` puts the head of a cross-encoder on it: pooler and one label.
 * @returns a ModelProto: int64 `input_ids`, `attention_mask`, `token_type_ids` → `last_hidden_state`, or `logits` `[batch, 1]`.
 */
export function encodeBertGraph(
  shape: BertShape,
  dtype: 'fp32' | 'int8',
  output: 'last_hidden_state' | 'logits' = 'last_hidden_state',
): Buffer {
  const graph = createGraph();
  const random = randomValues(42);
  const linear = dtype === 'fp32' ? floatLinear(graph, random) : integerLinear(graph, random);
  const parts: Parts = { graph, shape, linear, addAndNormalize: normalizer(graph, shape.hidden) };
  let x = embeddings(parts, random);
  const mask = scoreMask(graph);
  for (let layer = 0; layer < shape.layers; layer++) x = encoderLayer(parts, x, mask);
  if (output === 'logits') x = classify(parts, x);
  graph.rename(x, output);
  return encodeOnnxModel({
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'],
    output,
    pools: output === 'logits',
    dimensions: output === 'logits' ? 1 : shape.hidden,
    constants: graph.constants,
    nodes: graph.nodes,
  });
}

/** BERT's pooler, a tanh layer over the first token, and one label. */
function classify({ graph, shape, linear }: Parts, x: string): string {
  const first = graph.add('Gather', [x, graph.constant([], BigInt64Array.of(0n))], { axis: 1 });
  const pooled = graph.add('Tanh', [linear(first, shape.hidden, shape.hidden)]);
  return linear(pooled, shape.hidden, 1);
}

function normalizer(graph: GraphBuilder, hidden: number): Parts['addAndNormalize'] {
  const scale = graph.constant([hidden], new Float32Array(hidden).fill(1));
  const bias = graph.constant([hidden], new Float32Array(hidden));
  return (a, b) =>
    graph.add('LayerNormalization', [graph.add('Add', [a, b]), scale, bias], { axis: -1, epsilon: { float: 1e-12 } });
}

function embeddings({ graph, shape, addAndNormalize }: Parts, random: ReturnType<typeof randomValues>): string {
  const { vocabulary, positions, hidden } = shape;
  const table = (rows: number): string => graph.constant([rows, hidden], random(rows * hidden, ROOT_3));
  const index = (value: number): string => graph.constant([1], BigInt64Array.of(BigInt(value)));
  const words = graph.add('Gather', [table(vocabulary), 'input_ids']);
  const types = graph.add('Gather', [table(2), 'token_type_ids']);
  const numbers = graph.constant(
    [1, positions],
    BigInt64Array.from({ length: positions }, (_, i) => BigInt(i)),
  );
  const sequence = graph.add('Gather', [graph.add('Shape', ['input_ids']), index(1)]);
  const used = graph.add('Slice', [numbers, index(0), sequence, index(1)]);
  const places = graph.add('Gather', [table(positions), used]);
  return addAndNormalize(graph.add('Add', [words, types]), places);
}

/** 0 where a token stands and the lowest float where padding does: `[batch, 1, 1, sequence]`. */
function scoreMask(graph: GraphBuilder): string {
  const axes = graph.constant([2], BigInt64Array.of(1n, 2n));
  const present = graph.add('Cast', [graph.add('Unsqueeze', ['attention_mask', axes])], { to: 1 });
  const absent = graph.add('Sub', [graph.constant([], Float32Array.of(1)), present]);
  return graph.add('Mul', [absent, graph.constant([], Float32Array.of(MASKED))]);
}

function encoderLayer(parts: Parts, x: string, mask: string): string {
  const { linear, shape, addAndNormalize, graph } = parts;
  const attended = linear(attention(parts, x, mask), shape.hidden, shape.hidden);
  const y = addAndNormalize(attended, x);
  const widened = gelu(graph, linear(y, shape.hidden, shape.intermediate));
  return addAndNormalize(linear(widened, shape.intermediate, shape.hidden), y);
}

/** Softmax(Q·Kᵀ / √(hidden / heads) + mask)·V, head by head. */
function attention({ graph, shape, linear }: Parts, x: string, mask: string): string {
  const { hidden, heads } = shape;
  const split = graph.constant([4], BigInt64Array.of(0n, 0n, BigInt(heads), BigInt(hidden / heads)));
  const joined = graph.constant([3], BigInt64Array.of(0n, 0n, BigInt(hidden)));
  const scale = graph.constant([], Float32Array.of(Math.sqrt(hidden / heads)));
  const head = (perm: readonly number[]): string =>
    graph.add('Transpose', [graph.add('Reshape', [linear(x, hidden, hidden), split])], { perm });
  const [query, key, value] = [head([0, 2, 1, 3]), head([0, 2, 3, 1]), head([0, 2, 1, 3])];
  const scores = graph.add('Div', [graph.add('MatMul', [query, key]), scale]);
  const weights = graph.add('Softmax', [graph.add('Add', [scores, mask])], { axis: -1 });
  const context = graph.add('Transpose', [graph.add('MatMul', [weights, value])], { perm: [0, 2, 1, 3] });
  return graph.add('Reshape', [context, joined]);
}

/** x · (1 + erf(x / √2)) / 2 */
function gelu(graph: GraphBuilder, x: string): string {
  const scalar = (value: number): string => graph.constant([], Float32Array.of(value));
  const erf = graph.add('Erf', [graph.add('Div', [x, scalar(Math.SQRT2)])]);
  return graph.add('Mul', [graph.add('Mul', [x, graph.add('Add', [erf, scalar(1)])]), scalar(0.5)]);
}

function floatLinear(graph: GraphBuilder, random: ReturnType<typeof randomValues>): Linear {
  return (x, rows, columns) => {
    const weights = graph.constant([rows, columns], random(rows * columns, ROOT_3 / Math.sqrt(rows)));
    const bias = graph.constant([columns], random(columns, BIAS_LIMIT));
    return graph.add('Add', [graph.add('MatMul', [x, weights]), bias]);
  };
}

function integerLinear(graph: GraphBuilder, random: ReturnType<typeof randomValues>): Linear {
  const quantized = new Map<string, readonly string[]>();
  return (x, rows, columns) => {
    const weights = quantizeColumns(random(rows * columns, ROOT_3 / Math.sqrt(rows)), columns);
    const bias = graph.constant([columns], random(columns, BIAS_LIMIT));
    // Query, key and value read the same activations: quantised once.
    const activations = quantized.get(x) ?? graph.addMany('DynamicQuantizeLinear', [x], 3);
    quantized.set(x, activations);
    const [values = '', scale = '', zero = ''] = activations;
    const product = graph.add('MatMulInteger', [
      values,
      graph.constant([rows, columns], weights.values),
      zero,
      graph.constant([columns], new Int8Array(columns)),
    ]);
    const scales = graph.add('Mul', [scale, graph.constant([columns], weights.scales)]);
    return graph.add('Add', [graph.add('Mul', [graph.add('Cast', [product], { to: 1 }), scales]), bias]);
  };
}
