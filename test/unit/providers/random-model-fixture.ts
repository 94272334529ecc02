import { join } from 'node:path';
import { expect } from 'vitest';
import { type RandomModelOptions, writeRandomModel } from '../../../scripts/make-random-model.ts';
import { readModelConfig } from '../../../src/models/model-config.ts';
import { resolveModelFiles } from '../../../src/models/model-files.ts';
import { loadTokenizer } from '../../../src/models/tokenizer.ts';
import { createProvider } from '../../../src/providers/create-provider.ts';
import type { ProviderOptions } from '../../../src/providers/provider-options.ts';
import type { EmbeddingProvider } from '../../../src/providers/types.ts';
import { temporaryDirectory } from '../models/temporary-directory.ts';

export const DIMENSIONS = 16;
const root = await temporaryDirectory();
let count = 0;

export interface Fixture {
  readonly directory: string;
  readonly table: Float32Array;
}

/** A model directory with random weights, gone after the file's tests. */
export async function randomModel(options: RandomModelOptions, name = `model-${count++}`): Promise<Fixture> {
  const directory = join(root, name);
  return { directory, table: await writeRandomModel(directory, { dimensions: DIMENSIONS, ...options }) };
}

export async function withProvider<T>(
  { directory }: Fixture,
  options: ProviderOptions,
  work: (provider: EmbeddingProvider) => Promise<T>,
): Promise<T> {
  const reference = { provider: 'local', model: directory, dimensions: DIMENSIONS } as const;
  const provider = await createProvider(reference, { device: 'cpu', threads: 1, ...options });
  try {
    return await work(provider);
  } finally {
    await provider.close();
  }
}

/** The embeddings of a text's tokens. */
export async function embeddedTokens({ directory, table }: Fixture, text: string): Promise<readonly number[][]> {
  const files = await resolveModelFiles(directory);
  const tokenizer = await loadTokenizer(directory, await readModelConfig(files));
  const ids = [...((await tokenizer.tokenize([text]))[0]?.ids ?? [])];
  return ids.map((id) => [...table.subarray(id * DIMENSIONS, (id + 1) * DIMENSIONS)]);
}

export function meanOf(rows: readonly (readonly number[])[]): number[] {
  return Array.from({ length: DIMENSIONS }, (_, i) => rows.reduce((sum, row) => sum + (row[i] ?? 0), 0) / rows.length);
}

export function unit(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** The graph's arithmetic in plain loops: state of a token = its embedding + the mean of all embeddings. */
export async function expectedVector(fixture: Fixture, text: string, pooling: string): Promise<number[]> {
  const embedded = await embeddedTokens(fixture, text);
  const context = meanOf(embedded);
  const states = embedded.map((row) => row.map((value, i) => value + (context[i] ?? 0)));
  return unit({ cls: states[0], lasttoken: states.at(-1), mean: meanOf(states) }[pooling] ?? []);
}

export function expectClose(actual: Float32Array | undefined, expected: readonly number[], digits = 5): void {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((value, i) => {
    expect(actual?.[i]).toBeCloseTo(value, digits);
  });
}
