import { at, type Dense } from './dense.ts';

/** How well predictions meet what they should be, row by row: the cosine, or less the mean squared error of a value. More is better. */
export type Score = (predicted: Dense, real: Dense) => Float64Array;

export const cosineScore: Score = (predicted, real) =>
  Float64Array.from({ length: predicted.rows }, (_, i) => {
    let product = 0;
    let first = 0;
    let second = 0;
    for (let j = 0; j < predicted.columns; j++) {
      const a = at(predicted, i, j);
      const b = at(real, i, j);
      product += a * b;
      first += a * a;
      second += b * b;
    }
    return first * second === 0 ? 0 : product / Math.sqrt(first * second);
  });

export const errorScore: Score = (predicted, real) =>
  Float64Array.from({ length: predicted.rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < predicted.columns; j++) sum += (at(predicted, i, j) - at(real, i, j)) ** 2;
    return -sum / predicted.columns;
  });
