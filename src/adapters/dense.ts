import { seededRandom } from '../vector/random.ts';
import type { Matrix } from './types.ts';

/** A matrix in double precision, row-major: sums over thousands of samples lose too much in single. */
export interface Dense {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

export function zeros(rows: number, columns: number): Dense {
  return { rows, columns, data: new Float64Array(rows * columns) };
}

/** The rows with these indexes, less `center`. */
export function takeRows(matrix: Matrix | Dense, rows: ArrayLike<number>, center: ArrayLike<number>): Dense {
  const { columns } = matrix;
  const result = zeros(rows.length, columns);
  for (let i = 0; i < rows.length; i++) {
    const from = (rows[i] ?? 0) * columns;
    const to = i * columns;
    for (let j = 0; j < columns; j++) result.data[to + j] = (matrix.data[from + j] ?? 0) - (center[j] ?? 0);
  }
  return result;
}

/** A rectangle of a matrix, copied. */
export function block(matrix: Dense, top: number, left: number, rows: number, columns: number): Dense {
  const result = zeros(rows, columns);
  for (let i = 0; i < rows; i++) {
    const from = (top + i) * matrix.columns + left;
    result.data.set(matrix.data.subarray(from, from + columns), i * columns);
  }
  return result;
}

export function leadingColumns(a: Dense, count: number): Dense {
  return block(a, 0, 0, a.rows, count);
}

export function transpose(a: Dense): Dense {
  const result = zeros(a.columns, a.rows);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.columns; j++) result.data[j * a.rows + i] = at(a, i, j);
  }
  return result;
}

/** Writes a rectangle into a matrix. */
export function putBlock(into: Dense, top: number, left: number, part: Dense): void {
  for (let i = 0; i < part.rows; i++) {
    const row = part.data.subarray(i * part.columns, (i + 1) * part.columns);
    into.data.set(row, (top + i) * into.columns + left);
  }
}

/** `a + factor·b`, anew. */
export function plus(a: Dense, b: Dense, factor = 1): Dense {
  return { ...a, data: a.data.map((value, i) => value + factor * (b.data[i] ?? 0)) };
}

/** `a + factor·u vᵀ`, anew. */
export function plusOuter(a: Dense, u: Float64Array, v: Float64Array, factor: number): Dense {
  const result = { ...a, data: a.data.slice() };
  for (let i = 0; i < a.rows; i++) {
    const weight = factor * (u[i] ?? 0);
    for (let j = 0; j < a.columns; j++) result.data[i * a.columns + j] = at(result, i, j) + weight * (v[j] ?? 0);
  }
  return result;
}

/** `row` added to every row, anew. */
export function plusRow(a: Dense, row: Float64Array): Dense {
  return { ...a, data: a.data.map((value, i) => value + (row[i % a.columns] ?? 0)) };
}

/** `a + value·I`, anew. */
export function plusDiagonal(a: Dense, value: number): Dense {
  const result = { ...a, data: a.data.slice() };
  for (let i = 0; i < a.rows; i++) result.data[i * a.columns + i] = at(a, i, i) + value;
  return result;
}

export function at(a: Dense, i: number, j: number): number {
  return a.data[i * a.columns + j] ?? 0;
}

export function trace(a: Dense): number {
  let sum = 0;
  for (let i = 0; i < Math.min(a.rows, a.columns); i++) sum += at(a, i, i);
  return sum;
}

/** The sum of products of the values that stand at one place; with itself the squared Frobenius norm. */
export function inner(a: Dense, b: Dense): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i] ?? 0) * (b.data[i] ?? 0);
  return sum;
}

export function columnSums(a: Matrix | Dense): Float64Array {
  const sums = new Float64Array(a.columns);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.columns; j++) sums[j] = (sums[j] ?? 0) + (a.data[i * a.columns + j] ?? 0);
  }
  return sums;
}

export function columnMeans(a: Matrix | Dense): Float64Array {
  return columnSums(a).map((sum) => sum / a.rows);
}

/** `x·A` of one row. */
export function rowTimes(x: Float64Array, a: Dense): Float64Array {
  const result = new Float64Array(a.columns);
  for (let i = 0; i < a.rows; i++) {
    const weight = x[i] ?? 0;
    for (let j = 0; j < a.columns; j++) result[j] = (result[j] ?? 0) + weight * at(a, i, j);
  }
  return result;
}

/** 0..count-1 in an order that the seed decides (Fisher and Yates). */
export function shuffled(count: number, seed: number): Uint32Array {
  const random = seededRandom(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order;
}

/** Standard normal values (Box and Muller 1958). */
export function gaussian(rows: number, columns: number, seed: number): Dense {
  const random = seededRandom(seed);
  const result = zeros(rows, columns);
  for (let i = 0; i < result.data.length; i++) {
    result.data[i] = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  }
  return result;
}
