import { basename, dirname } from 'node:path';
import { z } from 'zod';
import type { Dtype } from '../../config/types.ts';
import { readJsonFile } from '../json-file.ts';
import type { ModelManifest } from '../manifest.ts';
import { CONFIG_FILES, chooseGraph, weightFiles } from '../model-layout.ts';

const width = z.int().positive().nullish().catch(undefined);
const poolingSchema = z.looseObject({ word_embedding_dimension: width, embedding_dimension: width });
const configSchema = z.looseObject({ hidden_size: width, n_embd: width, d_model: width, dim: width });

/**
 * The dimensions that a model's own files state; null where they do not. It is for people: what a graph really makes is asked of the graph.
 * @param locate where a file of the model lies by now; undefined where it has none of that name.
 */
export async function statedDimensions(locate: (name: string) => string | undefined): Promise<number | null> {
  const read = async <T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> => {
    const path = locate(name);
    return path === undefined ? undefined : readJsonFile(dirname(path), basename(path), schema);
  };
  const pooling = await read('1_Pooling/config.json', poolingSchema);
  const config = await read('config.json', configSchema);
  const { word_embedding_dimension: word, embedding_dimension: embedding } = pooling ?? {};
  const { hidden_size: hidden, n_embd: embd, d_model: model, dim } = config ?? {};
  return word ?? embedding ?? hidden ?? embd ?? model ?? dim ?? null;
}

/** `made` with the files that `here`, of the same revision, holds besides; what was the default stays it. */
export function withFilesOf(here: ModelManifest, made: ModelManifest): ModelManifest {
  return { ...made, dtype: here.dtype, graph: here.graph, files: { ...here.files, ...made.files } };
}

/** A model of a manifest in one precision: sha256 and bytes of the files that take part in inference. */
export interface ManifestedModel {
  readonly dtype: Dtype;
  readonly graph: string;
  readonly hashes: Readonly<Record<string, string>>;
  readonly bytes: number;
}

/** What a manifest holds in `dtype`, or in its own precision; undefined where that is not there. */
export function manifested(manifest: ModelManifest, dtype: Dtype | undefined): ManifestedModel | undefined {
  const names = Object.keys(manifest.files);
  const chosen =
    dtype === undefined || dtype === manifest.dtype
      ? { graph: manifest.graph, dtype: manifest.dtype }
      : chooseGraph(names, dtype);
  if (chosen === undefined) return undefined;
  const taken = [chosen.graph, ...weightFiles(chosen.graph, names), ...CONFIG_FILES].flatMap((name) => {
    const file = manifest.files[name];
    return file === undefined ? [] : [[name, file] as const];
  });
  return {
    ...chosen,
    hashes: Object.fromEntries(taken.map(([name, { sha256 }]) => [name, sha256])),
    bytes: taken.reduce((sum, [, file]) => sum + file.bytes, 0),
  };
}
