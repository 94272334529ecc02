import { openGraph } from '../models/graph.ts';
import { projectionGraph } from './projection-graph.ts';
import type { Matrix, Projection } from './types.ts';

const ROWS_A_RUN = 512;

/** Maps vectors that are to be measured, in this thread; the event loop has a turn between two parts. What serves uses `openAdapter`. */
export async function mapMatrix(projection: Projection, { rows, columns, data }: Matrix): Promise<Matrix> {
  const output = projection.layers.at(-1)?.output ?? columns;
  const mapped = new Float32Array(rows * output);
  const graph = await openGraph(projectionGraph(projection));
  try {
    for (let first = 0; first < rows; first += ROWS_A_RUN) {
      const part = data.subarray(first * columns, (first + ROWS_A_RUN) * columns);
      const { y } = await graph.run({ x: { data: part, dims: [part.length / columns, columns] } });
      mapped.set(y?.data as Float32Array, first * output);
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    await graph.release();
  }
  return { rows, columns: output, data: mapped };
}
