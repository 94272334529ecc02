import { z } from 'zod';
import { readJsonFile } from '../models/json-file.ts';

/** The sizes of an encoder's matrix products. */
export interface EncoderShape {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
}

const schema = z.looseObject({
  hidden_size: z.int().positive().optional(),
  intermediate_size: z.int().positive().optional(),
  num_hidden_layers: z.int().positive().optional(),
});

/**
 * The shape from a model's `config.json`; undefined where the file is not there or names its sizes differently.
 * @throws ModelError when the file is not JSON.
 */
export async function readEncoderShape(directory: string): Promise<EncoderShape | undefined> {
  const config = await readJsonFile(directory, 'config.json', schema);
  const { hidden_size: hidden, intermediate_size: intermediate, num_hidden_layers: layers } = config ?? {};
  if (hidden === undefined || intermediate === undefined || layers === undefined) return undefined;
  return { hidden, intermediate, layers };
}

/**
 * Floating point operations (a multiplication and an addition are two) of the weights' products for one token: in each
 * layer four of hidden × hidden (query, key, value, output) and two of hidden × intermediate: layers · (8h² + 4hi).
 */
export function weightFlopsPerToken({ hidden, intermediate, layers }: EncoderShape): number {
  return layers * (8 * hidden ** 2 + 4 * hidden * intermediate);
}

/**
 * Operations of all products for one token in the mean: those of the weights, and attention's own two (Q·Kᵀ and its
 * product with V), 4 · layers · h · L for a text of L tokens. Lookup, normalisation, softmax, activation are not counted,
 * nor is padding: what is computed for it is lost.
 * @param lengths tokens of each text
 */
export function gemmFlopsPerToken(shape: EncoderShape, lengths: readonly number[]): number {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const squares = lengths.reduce((sum, length) => sum + length ** 2, 0);
  return weightFlopsPerToken(shape) + (tokens === 0 ? 0 : (4 * shape.layers * shape.hidden * squares) / tokens);
}
