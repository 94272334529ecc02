import type { Dtype } from '../config/types.ts';
import { encodeOnnxModel, type OnnxData } from '../models/onnx-writer.ts';
import type { EncoderShape } from './gemm-flops.ts';
import { createGraph, type GraphBuilder, randomValues } from './graph-builder.ts';

/** Rows of the table that stands for the activations; token ids are below it. */
export const GEMM_VOCABULARY = 64;
/** Weights at most; of a larger model only so many layers are built, a layer's rate is the same. */
const MOST_WEIGHTS = 128 * 1024 ** 2;
const FLOAT16 = 10;
const OUTPUT = 'sentence_embedding';

export interface GemmGraph {
  /** A ModelProto: int64 `input_ids` `[batch, sequence]` → float `[batch, 1]`. */
  readonly bytes: Buffer;
  readonly layers: number;
}

/**
 * A graph that is an encoder's matrix products with weights and nothing else: what of the machine's speed they leave to
 * be had. Activations are looked up from a table. fp32 and fp16 chain the products; int8 multiplies unsigned activations
 * with signed weights, as dynamic quantisation does, and keeps one number of each product, so that none is left out.
 */
export function encodeGemmGraph(shape: EncoderShape, dtype: Dtype): GemmGraph {
  const { hidden, intermediate } = shape;
  const layers = Math.max(
    1,
    Math.min(shape.layers, Math.floor(MOST_WEIGHTS / (4 * hidden ** 2 + 2 * hidden * intermediate))),
  );
  const graph = createGraph();
  const built = { ...shape, layers };
  const output = dtype === 'int8' ? integerProducts(graph, built) : floatProducts(graph, built, dtype);
  // A name that every text encoder of this kind has.
  graph.rename(output, OUTPUT);
  const bytes = encodeOnnxModel({
    inputs: ['input_ids'],
    output: OUTPUT,
    dimensions: 1,
    pools: true,
    constants: graph.constants,
    nodes: graph.nodes,
  });
  return { bytes, layers };
}

/** Rows and columns of a layer's products. */
function productsOf({ hidden, intermediate }: EncoderShape): readonly (readonly [number, number])[] {
  return [
    ...Array.from({ length: 4 }, () => [hidden, hidden] as const),
    [hidden, intermediate],
    [intermediate, hidden],
  ];
}

/** `[batch, sequence, columns]` → its first column of the first token, `[batch, 1]`. */
function firstValue(graph: GraphBuilder, x: string): string {
  const zero = graph.constant([], BigInt64Array.of(0n));
  const zeros = graph.constant([1], BigInt64Array.of(0n));
  return graph.add('Gather', [graph.add('Gather', [x, zero], { axis: 1 }), zeros], { axis: 1 });
}

function floatProducts(graph: GraphBuilder, shape: EncoderShape, dtype: Dtype): string {
  const random = randomValues(7);
  // σ 1/√rows keeps the size of what is multiplied: neither infinities nor the slow denormal numbers come up.
  const matrix = (rows: number, columns: number, deviation: number): string => {
    const values = random(rows * columns, Math.sqrt(3) * deviation);
    const name = graph.constant([rows, columns], values satisfies OnnxData);
    return dtype === 'fp16' ? graph.add('Cast', [name], { to: FLOAT16 }) : name;
  };
  let x = graph.add('Gather', [matrix(GEMM_VOCABULARY, shape.hidden, 1), 'input_ids']);
  for (let layer = 0; layer < shape.layers; layer++) {
    for (const [rows, columns] of productsOf(shape)) {
      x = graph.add('MatMul', [x, matrix(rows, columns, 1 / Math.sqrt(rows))]);
    }
  }
  return graph.add('Cast', [firstValue(graph, x)], { to: 1 });
}

function integerProducts(graph: GraphBuilder, shape: EncoderShape): string {
  const random = randomValues(7);
  const activations = (columns: number): string => {
    const values = Uint8Array.from(random(GEMM_VOCABULARY * columns, 127), (value) => value + 128);
    return graph.add('Gather', [graph.constant([GEMM_VOCABULARY, columns], values), 'input_ids']);
  };
  const inputs = new Map([shape.hidden, shape.intermediate].map((columns) => [columns, activations(columns)]));
  const kept: string[] = [];
  for (let layer = 0; layer < shape.layers; layer++) {
    for (const [rows, columns] of productsOf(shape)) {
      const weights = graph.constant([rows, columns], Int8Array.from(random(rows * columns, 127)));
      kept.push(firstValue(graph, graph.add('MatMulInteger', [inputs.get(rows) ?? '', weights])));
    }
  }
  const sum = kept.reduce((a, b) => graph.add('Add', [a, b]));
  return graph.add('Cast', [sum], { to: 1 });
}
