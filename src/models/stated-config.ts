import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { readJsonFile } from './json-file.ts';

const width = z.int().positive().nullish().catch(undefined);
const poolingSchema = z.looseObject({ word_embedding_dimension: width, embedding_dimension: width });
const configSchema = z.looseObject({
  hidden_size: width,
  n_embd: width,
  d_model: width,
  dim: width,
  architectures: z.array(z.string()).nullish().catch(undefined),
});

/** What a model's own files state about it. It is for people, and for estimates: what a graph really makes is asked of the graph. */
export interface StatedModel {
  /** A reranker where its architecture ends in a head that classifies a sequence. */
  readonly kind: 'embedding' | 'reranker';
  /** Of an embedding model's vectors; null where the files do not say it, and of rerankers, which make none. */
  readonly dimensions: number | null;
  /** Values of a token between two layers; null where the files do not say it. */
  readonly width: number | null;
}

/** @param locate where a file of the model lies by now; undefined where it has none of that name. */
export async function readStatedModel(locate: (name: string) => string | undefined): Promise<StatedModel> {
  const read = async <T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> => {
    const path = locate(name);
    return path === undefined ? undefined : readJsonFile(dirname(path), basename(path), schema);
  };
  const pooling = await read('1_Pooling/config.json', poolingSchema);
  const config = await read('config.json', configSchema);
  const { word_embedding_dimension: word, embedding_dimension: embedding } = pooling ?? {};
  const { hidden_size: hidden, n_embd: embd, d_model: model, dim } = config ?? {};
  const wide = hidden ?? embd ?? model ?? dim ?? null;
  const isReranker = config?.architectures?.some((name) => name.endsWith('ForSequenceClassification')) === true;
  if (isReranker && pooling === undefined) return { kind: 'reranker', dimensions: null, width: wide };
  return { kind: 'embedding', dimensions: word ?? embedding ?? wide, width: wide };
}
