import { expect, test } from 'vitest';
import { openGraph } from '../../../src/models/graph.ts';
import type { OnnxGraph } from '../../../src/models/onnx-writer.ts';

const product: OnnxGraph = {
  name: 'product',
  inputs: [
    { name: 'a', type: 'double', dims: ['rows', 'inner'] },
    { name: 'b', type: 'double', dims: ['inner', 'columns'] },
  ],
  outputs: [{ name: 'c', type: 'double', dims: ['rows', 'columns'] }],
  constants: [],
  nodes: [{ op: 'MatMul', inputs: ['a', 'b'], output: 'c' }],
};

test('a graph of one operator multiplies in double precision, whatever the sizes', async () => {
  const graph = await openGraph(product);
  const a = { data: Float64Array.of(1, 1e-12, 2, 3), dims: [2, 2] };
  const { c } = await graph.run({ a, b: { data: Float64Array.of(1, 1), dims: [2, 1] } });
  expect(c).toEqual({ data: Float64Array.of(1 + 1e-12, 5), dims: [2, 1] });
  await expect(graph.run({ a, b: { data: Float64Array.of(1, 1, 1), dims: [3, 1] } })).rejects.toMatchObject({
    code: 'graph_failed',
  });
  await graph.release();
});

test('a graph that ONNX Runtime does not know is refused by its name', async () => {
  const unknown = { ...product, nodes: [{ op: 'Multiply', inputs: ['a', 'b'], output: 'c' }] };
  await expect(openGraph(unknown)).rejects.toMatchObject({ code: 'graph_invalid', message: /product/ });
});
