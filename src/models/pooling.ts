/** How token states become one vector. */
export type Pooling = 'mean' | 'cls' | 'last-token';

/** Token states of a padded batch, `[batch, sequence, dimensions]`, row-major. */
export interface TokenStates {
  readonly data: Float32Array;
  readonly sequence: number;
  readonly dimensions: number;
  /** Tokens of each text; the rest of its row is padding on the right. */
  readonly lengths: Int32Array;
}

/** Pools a batch into `[batch, dimensions]`, row-major, as sentence-transformers does. */
export function pool(states: TokenStates, pooling: Pooling): Float32Array {
  const { data, sequence, dimensions, lengths } = states;
  const pooled = new Float32Array(lengths.length * dimensions);
  lengths.forEach((length, row) => {
    const start = row * sequence * dimensions;
    const target = pooled.subarray(row * dimensions, (row + 1) * dimensions);
    if (pooling === 'mean') average(data, start, length, target);
    else {
      const at = start + (pooling === 'cls' ? 0 : length - 1) * dimensions;
      target.set(data.subarray(at, at + dimensions));
    }
  });
  return pooled;
}

function average(data: Float32Array, start: number, length: number, target: Float32Array): void {
  const dimensions = target.length;
  for (let token = 0; token < length; token++) {
    const at = start + token * dimensions;
    for (let i = 0; i < dimensions; i++) target[i] = (target[i] ?? 0) + (data[at + i] ?? 0);
  }
  for (let i = 0; i < dimensions; i++) target[i] = (target[i] ?? 0) / length;
}

/** Scales each row of `[batch, dimensions]` to length 1, in place; a zero row stays zero. */
export function normalizeRows(rows: Float32Array, dimensions: number): void {
  for (let start = 0; start < rows.length; start += dimensions) {
    let sum = 0;
    for (let i = start; i < start + dimensions; i++) sum += (rows[i] ?? 0) ** 2;
    const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
    for (let i = start; i < start + dimensions; i++) rows[i] = (rows[i] ?? 0) * scale;
  }
}
