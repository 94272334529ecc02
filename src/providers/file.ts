import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { ModelReference } from '../config/types.ts';
import { messageOf, ProviderError } from '../errors.ts';
import { sha256OfFile } from '../models/manifest.ts';
import type { EmbeddingProvider, ModelFingerprint } from './types.ts';
import { invalid, isHalf, openJsonl, openMatrix, type VectorSet } from './vector-set.ts';

const descriptionSchema = z.strictObject({
  sets: z
    .array(z.strictObject({ vectors: z.string().min(1), texts: z.string().optional(), field: z.string().optional() }))
    .min(1),
});

/**
 * The provider `file`: vectors computed elsewhere, found by text, for documents and queries alike.
 * @param reference `model` is a path: `.jsonl`; `.f16` or `.f32` with the texts in a `.jsonl` of the same name; or a
 *   `.json` that lists several of these.
 * @throws ProviderError when a file is missing or does not fit `reference.dimensions`.
 */
export async function fileProvider(
  reference: Pick<ModelReference, 'model' | 'dimensions'>,
): Promise<EmbeddingProvider> {
  const { model, dimensions } = reference;
  const sets = await openSets(resolve(model), dimensions);
  return {
    model: await fingerprint(model, dimensions, sets),
    embed: async (texts, { signal }) => {
      const vectors: Float32Array[] = [];
      for (const text of texts) {
        signal?.throwIfAborted();
        vectors.push(await findVector(sets, text, model));
      }
      return { vectors, tokens: 0, truncated: 0 };
    },
    probe: async () => {
      const texts = sets.reduce((sum, set) => sum + set.size, 0);
      return { ok: texts > 0, device: 'file', dimensions, milliseconds: 0, message: `${texts} texts with vectors` };
    },
    close: async () => {
      await Promise.all(sets.map((set) => set.close()));
    },
  };
}

async function openSets(path: string, dimensions: number): Promise<readonly VectorSet[]> {
  if (!path.endsWith('.json')) return [await openSet(path, undefined, undefined, dimensions)];
  const directory = dirname(path);
  const sets: VectorSet[] = [];
  try {
    for (const { vectors, texts, field } of await readDescription(path)) {
      const textsPath = texts === undefined ? undefined : resolve(directory, texts);
      sets.push(await openSet(resolve(directory, vectors), textsPath, field, dimensions));
    }
  } catch (error) {
    await Promise.all(sets.map((set) => set.close()));
    throw error;
  }
  return sets;
}

async function openSet(
  path: string,
  texts: string | undefined,
  field: string | undefined,
  dimensions: number,
): Promise<VectorSet> {
  if (path.endsWith('.jsonl')) return openJsonl(path, dimensions);
  if (!/\.f(16|32)$/.test(path))
    throw invalid(`${path} is no file of vectors: .jsonl, .f16, .f32 or .json is expected.`);
  return openMatrix({ vectors: path, texts: texts ?? path.replace(/\.f(16|32)$/, '.jsonl'), field }, dimensions);
}

async function readDescription(path: string): Promise<z.infer<typeof descriptionSchema>['sets']> {
  try {
    return descriptionSchema.parse(JSON.parse(await readFile(path, 'utf8'))).sets;
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw invalid(`${path} does not describe vectors: ${reason}`);
  }
}

async function findVector(sets: readonly VectorSet[], text: string, model: string): Promise<Float32Array> {
  for (const set of sets) {
    const vector = await set.find(text);
    if (vector !== undefined) return vector;
  }
  const beginning = JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
  throw new ProviderError('vector_missing', `${model} has no vector for the text ${beginning}.`, {
    retryable: false,
    hint: 'Compute the missing vectors and add them to the file, or use a provider that embeds texts.',
  });
}

async function fingerprint(model: string, dimensions: number, sets: readonly VectorSet[]): Promise<ModelFingerprint> {
  const paths = [...new Set(sets.flatMap((set) => set.paths))];
  const files: Record<string, string> = {};
  for (const path of paths) files[basename(path)] = await sha256OfFile(path);
  return {
    provider: 'file',
    name: model,
    revision: null,
    dimensions,
    dtype: paths.some(isHalf) ? 'fp16' : 'fp32',
    pooling: null,
    normalize: false,
    prefixes: { document: '', query: '' },
    files,
  };
}
