import type { Matrix } from './types.ts';

/** Vectors one below the other. @throws RangeError when they are not of one length */
export function matrixOf(vectors: readonly ArrayLike<number>[], columns = vectors[0]?.length ?? 0): Matrix {
  const data = new Float32Array(vectors.length * columns);
  for (const [row, vector] of vectors.entries()) {
    if (vector.length !== columns) throw new RangeError(`row ${row} has ${vector.length} values instead of ${columns}`);
    data.set(vector, row * columns);
  }
  return { rows: vectors.length, columns, data };
}

/** One below the other. */
export function stackRows(a: Matrix, b: Matrix): Matrix {
  const data = new Float32Array(a.data.length + b.data.length);
  data.set(a.data);
  data.set(b.data, a.data.length);
  return { rows: a.rows + b.rows, columns: a.columns, data };
}

/** Euclidean lengths of the rows. */
export function rowNorms({ rows, columns, data }: Matrix): Float64Array {
  const norms = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let at = row * columns; at < (row + 1) * columns; at++) sum += (data[at] ?? 0) ** 2;
    norms[row] = Math.sqrt(sum);
  }
  return norms;
}
