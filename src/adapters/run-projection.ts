import { ModelError } from '../errors.ts';
import type { RunnableGraph } from '../models/graph.ts';
import type { Matrix } from './types.ts';

/** All rows through the graph of `projectionGraph`. Blocks its thread. @throws ModelError `graph_failed`, `graph_invalid` */
export async function runProjection(graph: RunnableGraph, { rows, columns, data }: Matrix): Promise<Matrix> {
  const { y } = await graph.run({ x: { data, dims: [rows, columns] } });
  const width = y?.dims[1];
  if (y?.data instanceof Float32Array && y.dims[0] === rows && width !== undefined) {
    return { rows, columns: width, data: y.data };
  }
  throw new ModelError(
    'graph_invalid',
    `The graph of a projection gave ${y?.dims.join(' × ')}, ${rows} rows were expected.`,
  );
}
