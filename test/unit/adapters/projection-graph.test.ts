import { expect, test } from 'vitest';
import { projectionGraph } from '../../../src/adapters/projection-graph.ts';
import type { Projection, ProjectionLayer } from '../../../src/adapters/types.ts';
import { openGraph } from '../../../src/models/graph.ts';

const bare: ProjectionLayer = {
  input: 2,
  output: 2,
  weight: undefined,
  bias: undefined,
  hidden: undefined,
  normalize: false,
};

async function apply(projection: Projection, rows: readonly (readonly number[])[]): Promise<number[]> {
  const graph = await openGraph(projectionGraph(projection));
  const dims = [rows.length, rows[0]?.length ?? 0];
  const { y } = await graph.run({ x: { data: Float32Array.from(rows.flat()), dims } });
  await graph.release();
  return Array.from(y?.data ?? [], Number);
}

test('layers are applied one behind the other, each as far as it has parts', async () => {
  expect(await apply({ layers: [bare] }, [[3, -4]])).toEqual([3, -4]);
  const shifted = { ...bare, bias: Float32Array.of(1, 2) };
  expect(await apply({ layers: [shifted] }, [[3, -4]])).toEqual([4, -2]);
  const wide = { ...bare, output: 3, weight: Float32Array.of(1, 2, 3, 4, 5, 6) };
  expect(await apply({ layers: [shifted, wide] }, [[0, 0]])).toEqual([9, 12, 15]);
  expect(await apply({ layers: [{ ...wide, bias: Float32Array.of(1, 1, 1) }] }, [[1, 1]])).toEqual([6, 8, 10]);
});

test('unit length stands behind the map, and what has no direction stays zero', async () => {
  const y = await apply({ layers: [{ ...bare, normalize: true }] }, [
    [3, -4],
    [0, 0],
  ]);
  [0.6, -0.8, 0, 0].forEach((expected, i) => {
    expect(y[i]).toBeCloseTo(expected, 6);
  });
});

test('the hidden layer is the exact GELU, beside the linear map', async () => {
  const hidden = {
    size: 1,
    weight: Float32Array.of(1, -1),
    bias: Float32Array.of(0.5),
    output: Float32Array.of(2, -1),
  };
  const [first, second] = await apply({ layers: [{ ...bare, hidden }] }, [[1, 0.5]]);
  // z = 1; scipy.stats.norm.cdf(1) = 0.841344746
  expect(first).toBeCloseTo(1 + 2 * 0.841344746, 6);
  expect(second).toBeCloseTo(0.5 - 0.841344746, 6);
});
