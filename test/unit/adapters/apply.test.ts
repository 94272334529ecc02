import { afterAll, describe, expect, test } from 'vitest';
import { openAdapter } from '../../../src/adapters/apply.ts';
import type { Matrix, Projection, ProjectionEntry } from '../../../src/adapters/types.ts';
import { seededRandom } from '../../../src/vector/random.ts';
import { affine, newEntry, space } from './sample-projection.ts';

const projection: Projection = { layers: [affine(6, 4, { normalize: true })] };
const entry: ProjectionEntry = {
  ...newEntry({ source: space('legacy', 6), target: space('new', 4), range: { minNorm: 0.9, maxNorm: 1.1 } }),
  id: 'a',
  file: 'a.safetensors',
  sha256: '0'.repeat(64),
  createdAt: '2026-01-01T00:00:00.000Z',
};
const adapter = openAdapter({ entry, projection });
afterAll(() => adapter.close());

/** Unit vectors one below the other. */
function unitVectors(rows: number, columns = 6): Matrix {
  const random = seededRandom(7);
  const data = Float32Array.from({ length: rows * columns }, () => random() - 0.5);
  for (let row = 0; row < rows; row++) {
    const vector = data.subarray(row * columns, (row + 1) * columns);
    const length = Math.hypot(...vector);
    for (const [i, value] of vector.entries()) vector[i] = value / length;
  }
  return { rows, columns, data };
}

/** What types.ts says a layer is, one multiplication after the other. */
function byHand({ data }: Matrix, row: number): number[] {
  const { weight = new Float32Array(), bias = new Float32Array() } = projection.layers[0] ?? affine(6, 4);
  const y = Array.from(
    bias,
    (b, j) =>
      b +
      Array.from({ length: 6 }, (_, i) => (data[row * 6 + i] ?? 0) * (weight[i * 4 + j] ?? 0)).reduce((a, c) => a + c),
  );
  const length = Math.hypot(...y);
  return y.map((value) => value / length);
}

describe('an adapter', () => {
  test('maps a batch in its thread and a vector in this one to what the layers say', async () => {
    const matrix = unitVectors(300);
    const expected = Array.from({ length: 300 }, (_, row) => byHand(matrix, row)).flat();
    const single = await adapter.applyOnce(matrix.data.slice(6, 12));
    const mapped = await adapter.apply({ ...matrix, data: matrix.data.slice() });
    expect([mapped.rows, mapped.columns, mapped.data.length]).toEqual([300, 4, 1200]);
    for (const [i, value] of mapped.data.entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 5);
    for (const [i, value] of single.entries()) expect(value).toBeCloseTo(expected[4 + i] ?? Number.NaN, 5);
  });

  test('keeps the order of many batches, and takes no more than the batch out of a larger buffer', async () => {
    const all = unitVectors(50);
    const whole = await adapter.apply({ ...all, data: all.data.slice() });
    const parts = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        adapter.apply({ rows: 5, columns: 6, data: all.data.subarray(i * 30, (i + 1) * 30) }),
      ),
    );
    expect(parts.flatMap(({ data }) => [...data])).toEqual([...whole.data]);
    expect(all.data.length).toBe(300);
  });

  test('refuses a batch by its first bad vector and names all of them', async () => {
    const matrix = unitVectors(4);
    matrix.data[2 * 6] = Number.NaN;
    matrix.data.fill(0, 18);
    const data = matrix.data.slice();
    await expect(adapter.apply({ ...matrix, data })).rejects.toMatchObject({
      code: 'not_finite',
      message: 'Vector 2 of 4, and 1 more, holds NaN or Infinity: the projection a cannot map it.',
      context: {
        faults: [
          { row: 2, code: 'not_finite' },
          { row: 3, code: 'outside_range' },
        ],
      },
    });
    const { matrix: mapped, faults } = await adapter.applyAll(matrix);
    expect(faults.map(({ row }) => row)).toEqual([2, 3]);
    expect([...mapped.data.slice(0, 8)].every(Number.isFinite)).toBe(true);
  });

  test('refuses vectors of another length or dimension than it learned from', async () => {
    const long = unitVectors(1).data.map((value) => 3 * value);
    await expect(adapter.applyOnce(long)).rejects.toMatchObject({
      code: 'outside_range',
      message:
        'The vector has length 3; the projection a was learned from vectors of length 0.9 to 1.1, and takes 0.7 to 1.3.',
    });
    await expect(adapter.applyOnce(new Float32Array(8))).rejects.toMatchObject({
      code: 'dimensions_differ',
      message: 'The vectors have 8 dimensions, the projection a maps 6 to 4.',
    });
  });

  test('gives up waiting when it is told to, and goes on with the next batch', async () => {
    const stop = new AbortController();
    const waiting = adapter.apply(unitVectors(100), stop.signal);
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect((await adapter.apply(unitVectors(2))).rows).toBe(2);
  });

  test('rejects what waits when it is closed, and what comes afterwards', async () => {
    const own = openAdapter({ entry, projection });
    const waiting = own.apply(unitVectors(100));
    const refused = expect(waiting).rejects.toMatchObject({ code: 'adapter_closed' });
    await Promise.all([own.close(), own.close()]);
    await refused;
    await expect(own.applyOnce(unitVectors(1).data)).rejects.toMatchObject({ code: 'adapter_closed' });
  });
});
