import { openGraph } from '../models/graph.ts';
import type { OnnxGraph } from '../models/onnx-writer.ts';
import type { Matrix } from './types.ts';

/** Cosines of some rows of one matrix with all rows of another: `values[row * columns + column]`. */
export interface SimilarityBlock {
  /** Of the first matrix. */
  readonly first: number;
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

export interface Similarities {
  /** All rows of `a` with all of `b`, in parts of bounded size; the event loop has a turn between two. */
  blocks(a: Matrix, b: Matrix): AsyncGenerator<SimilarityBlock>;
  close(): Promise<void>;
}

/** Cosines in one part: 16 MB. */
const VALUES_A_BLOCK = 4_194_304;
const MOST_ROWS = 256;

/** Opens what computes cosines of many vectors at the processor's speed. A zero vector's cosine with anything is 0. */
export async function openSimilarities({ threads = 1 } = {}): Promise<Similarities> {
  const graph = await openGraph(COSINES, { threads });
  return {
    async *blocks(a, b) {
      const most = Math.max(1, Math.min(MOST_ROWS, Math.floor(VALUES_A_BLOCK / Math.max(1, b.rows))));
      const columns = { data: b.data, dims: [b.rows, b.columns] };
      for (let first = 0; first < a.rows; first += most) {
        const rows = Math.min(most, a.rows - first);
        const data = a.data.subarray(first * a.columns, (first + rows) * a.columns);
        const { cosines } = await graph.run({ a: { data, dims: [rows, a.columns] }, b: columns });
        yield { first, rows, columns: b.rows, values: cosines?.data as Float32Array };
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    close: () => graph.release(),
  };
}

/** A length below it is none. */
const NO_LENGTH = 1e-30;

/** `a [rows, width]`, `b [columns, width]` → `cosines [rows, columns]`. */
const COSINES: OnnxGraph = {
  name: 'cosines',
  inputs: [
    { name: 'a', type: 'float', dims: ['rows', 'width'] },
    { name: 'b', type: 'float', dims: ['columns', 'width'] },
  ],
  outputs: [{ name: 'cosines', type: 'float', dims: ['rows', 'columns'] }],
  constants: [{ name: 'least', dims: [], data: Float32Array.of(NO_LENGTH) }],
  nodes: [
    ...unitLength('a'),
    ...unitLength('b'),
    { op: 'Transpose', inputs: ['b_unit'], output: 'b_columns', attributes: { perm: [1, 0] } },
    { op: 'MatMul', inputs: ['a_unit', 'b_columns'], output: 'cosines' },
  ],
};

function unitLength(name: string): OnnxGraph['nodes'] {
  return [
    { op: 'ReduceL2', inputs: [name], output: `${name}_length`, attributes: { axes: [1], keepdims: 1 } },
    { op: 'Max', inputs: [`${name}_length`, 'least'], output: `${name}_divisor` },
    { op: 'Div', inputs: [name, `${name}_divisor`], output: `${name}_unit` },
  ];
}
