import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { Dtype } from '../config/types.ts';
import { ModelError } from '../errors.ts';
import { type ModelManifest, readManifest, sha256OfFile, sizeOf, verifyManifest } from './manifest.ts';
import { packageRoot } from './package-root.ts';

const BUNDLED_MODEL = 'sentence-transformers/all-MiniLM-L6-v2';
const BUNDLED_NAMES: readonly string[] = [BUNDLED_MODEL, 'all-MiniLM-L6-v2'];

/** Where exports put the graph, by precision; the first that exists is taken. */
const GRAPHS: Readonly<Record<Dtype, readonly string[]>> = {
  fp32: ['onnx/model.onnx', 'model.onnx'],
  fp16: ['onnx/model_fp16.onnx', 'model_fp16.onnx'],
  int8: ['onnx/model_int8.onnx', 'onnx/model_quantized.onnx', 'model_int8.onnx', 'model_quantized.onnx'],
};
const DTYPES: readonly Dtype[] = ['fp32', 'fp16', 'int8'];

/** The files that take part in inference besides the graph; what a model lacks is left out. */
const CONFIG_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'config.json',
  'modules.json',
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
  '1_Pooling/config.json',
];

export interface ModelFiles {
  readonly directory: string;
  /** The published name where it is known: from the manifest, else as the user wrote it. */
  readonly name: string;
  /** Path of the ONNX file, absolute. */
  readonly graph: string;
  /** The same relative to `directory`, as in `hashes`. */
  readonly graphName: string;
  /** Bytes of the graph and of its weights where these lie in a file of their own. */
  readonly graphBytes: number;
  readonly dtype: Dtype;
  readonly manifest: ModelManifest | undefined;
  /** sha256 of each file that takes part in inference, by its name relative to `directory`. */
  readonly hashes: Readonly<Record<string, string>>;
}

/** Where models are looked up by name unless a directory is configured. */
export function defaultModelsDir(): string {
  return join(homedir(), '.cache', 'reembed', 'models');
}

/**
 * Finds a model by name or directory and verifies its files before anything is loaded.
 * @param model the bundled model's name, a directory, or `<org>/<name>` below `modelsDir`.
 * @throws ModelError `model_missing`, `model_file_altered` or `dtype_missing`, each with the ways on.
 */
export async function resolveModelFiles(
  model: string,
  options: { readonly dtype?: Dtype | undefined; readonly modelsDir?: string | undefined } = {},
): Promise<ModelFiles> {
  const directory = await findDirectory(model, options.modelsDir ?? defaultModelsDir());
  const manifest = await readManifest(directory);
  if (manifest !== undefined) await verifyManifest(directory, manifest);
  const { graph, dtype } = await findGraph(directory, manifest, options.dtype);
  if ((await sizeOf(join(directory, 'tokenizer.json'))) === undefined) {
    throw new ModelError('model_file_missing', `${join(directory, 'tokenizer.json')} is missing.`, {
      hint: 'Copy tokenizer.json of the model there; vocab.txt or a sentencepiece file alone is not enough.',
    });
  }
  return {
    directory,
    name: manifest?.name ?? model,
    graph: join(directory, graph),
    graphName: graph,
    graphBytes: await bytesOf(directory, graphFiles(graph)),
    dtype,
    manifest,
    hashes: await hashFiles(directory, graph, manifest),
  };
}

/** Graphs over 2 GB keep their weights in a second file. */
function graphFiles(graph: string): readonly string[] {
  return [graph, `${graph}_data`, `${graph}.data`];
}

async function bytesOf(directory: string, names: readonly string[]): Promise<number> {
  const sizes = await Promise.all(names.map((name) => sizeOf(join(directory, name))));
  return sizes.reduce((sum: number, size) => sum + (size ?? 0), 0);
}

async function findDirectory(model: string, modelsDir: string): Promise<string> {
  const candidates = [
    ...(BUNDLED_NAMES.includes(model) ? [join(packageRoot(), 'models', basename(BUNDLED_MODEL))] : []),
    resolve(model),
    ...(isAbsolute(model) || model.startsWith('.') ? [] : [join(modelsDir, ...model.split('/'))]),
  ];
  for (const candidate of candidates) if (await isDirectory(candidate)) return candidate;
  throw new ModelError('model_missing', `The model ${model} is neither a directory nor under ${modelsDir}.`, {
    hint:
      `Put its files (onnx/model.onnx, tokenizer.json, config.json, modules.json …) into ${candidates.at(-1)}, ` +
      `or set EMBEDDING_MODEL to a directory that holds them, to ${BUNDLED_MODEL} (bundled, 384 dimensions), ` +
      'or to hash/384 (a test model without meaning).',
    context: { model, looked: candidates },
  });
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

async function findGraph(
  directory: string,
  manifest: ModelManifest | undefined,
  dtype: Dtype | undefined,
): Promise<{ readonly graph: string; readonly dtype: Dtype }> {
  if (manifest !== undefined && (dtype === undefined || dtype === manifest.dtype)) {
    return { graph: manifest.graph, dtype: manifest.dtype };
  }
  for (const candidate of dtype === undefined ? DTYPES : [dtype]) {
    for (const graph of GRAPHS[candidate]) {
      if ((await sizeOf(join(directory, graph))) !== undefined) return { graph, dtype: candidate };
    }
  }
  const looked = (dtype === undefined ? DTYPES : [dtype]).flatMap((each) => GRAPHS[each]).join(', ');
  throw new ModelError('dtype_missing', `${directory} has no ${dtype ?? 'ONNX'} graph; looked for ${looked}.`, {
    hint:
      manifest === undefined
        ? 'Export the model to ONNX ("optimum-cli export onnx"), or choose another EMBEDDING_DTYPE.'
        : `Set EMBEDDING_DTYPE=${manifest.dtype} or leave it unset, or add the file.`,
  });
}

async function hashFiles(
  directory: string,
  graph: string,
  manifest: ModelManifest | undefined,
): Promise<Readonly<Record<string, string>>> {
  const hashes: Record<string, string> = {};
  for (const name of [...graphFiles(graph), ...CONFIG_FILES]) {
    const known = manifest?.files[name];
    if (known !== undefined) hashes[name] = known.sha256;
    else if ((await sizeOf(join(directory, name))) !== undefined)
      hashes[name] = await sha256OfFile(join(directory, name));
  }
  return hashes;
}

/** Names under which a model may be known: as published, and the last one or two parts of its directory. */
export function namesOf(files: Pick<ModelFiles, 'name' | 'directory'>): readonly string[] {
  const last = basename(files.directory);
  return [files.name, `${basename(dirname(files.directory))}/${last}`, last];
}
